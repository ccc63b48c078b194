"""Interactive figures of a sweep's page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradvitals.report.pages.figures import (
    DASHES,
    GRADIENT_AXIS,
    LAYER_AXIS,
    MARKERS,
    PALETTE,
    Drawing,
    Line,
    Trace,
    _roles,
    curves,
    drawing,
    number,
    template,
    text,
)
from gradvitals.results.curves import Point, thin

LEGEND = 20  # characters of a name in a legend


def points(
    values: Sequence[tuple[str, float | None, float | None]], x: str, limits: Sequence[float] | None = None
) -> Drawing:
    """A point for each name, with its standard deviation, one below the other.

    Args:
        values: name, mean and deviation; None where there is none.
        x: what the numbers are.
        limits: ends of their axis, so that figures compare.

    Example:
        >>> points([("act=elu", 0.9, 0.01), ("act=relu", 0.8, None)], "val/acc")["data"][0]["x"]
        [0.9, 0.8]
    """
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [number(mean) for _, mean, _ in values],
        "y": [text(name) for name, _, _ in values],
        "error_x": {"type": "data", "array": [number(sd) or 0 for _, _, sd in values], "thickness": 1.5, "width": 4},
        "marker": {"size": 9, "symbol": MARKERS[0]},
        "meta": {"colour": 0},
        "hovertemplate": "%{y}: %{x:.4g}<extra></extra>",
    }
    rows = {"title": "", "type": "category", "autorange": "reversed"}
    axis = {"title": x} | ({"range": list(limits)} if limits else {})
    return drawing([trace], axis, rows, height=26 * len(values) + 78)


@dataclass(frozen=True)
class Grid:
    """A number for each pair of two keys' values: one list for each row."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


def grids(found: Sequence[Grid], what: str, reverse: bool = False) -> Drawing:
    """Heat maps with their numbers in the cells, one for each choice.

    Args:
        found: the numbers.
        what: they are.
        reverse: whether low ones are bright.

    Example:
        >>> grids([Grid(["a=1"], ["b=1", "b=2"], [[0.5, None]])], "val/acc")["data"][0]["z"]
        [[0.5, None]]
    """
    traces = [_grid(grid, i if len(found) > 1 else None, what, reverse) for i, grid in enumerate(found)]
    most = max((len(grid.rows) for grid in found), default=1)
    axis = {"title": "", "type": "category", "showgrid": False}
    height = min(max(34 * most + 90, 240), 640)
    return drawing(traces, axis, axis, height=height, showlegend=False, meta={"gaps": True})


def _grid(grid: Grid, choice: int | None, what: str, reverse: bool) -> Trace:
    return {
        "type": "heatmap",
        "x": [text(name) for name in grid.columns],
        "y": [text(name) for name in grid.rows],
        "z": [[number(value) for value in row] for row in grid.values],
        "texttemplate": "%{z:.3g}",
        "colorscale": "Cividis",
        "reversescale": reverse,
        "colorbar": {"title": {"text": text(what), "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "hoverongaps": False,
        "meta": {} if choice is None else {"choice": choice},
        "hovertemplate": "%{y}, %{x}: %{z:.4g}<extra></extra>",
    }


def profiles(runs: Sequence[tuple[str, Sequence[float | None]]]) -> Drawing:
    """The gradient by layer of several runs, a line for each, in the order of their ranks."""
    labels = legend_labels([name for name, _ in runs])
    data = [_run_profile(i, labels[i], name, norms) for i, (name, norms) in enumerate(runs)]
    axis = {"title": GRADIENT_AXIS, "type": "log"}
    return drawing(data, {"title": LAYER_AXIS}, axis, height=380, **_many(len(data)))


def _run_profile(place: int, label: str, name: str, norms: Sequence[float | None]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(norms) <= 40 else "lines",
        "name": label,
        "x": list(range(len(norms))),
        "y": [number(norm) if norm else None for norm in norms],
        "line": {"width": 1.8, "dash": DASHES[place // PALETTE % len(DASHES)]},
        "marker": {"size": 6, "symbol": MARKERS[place % PALETTE]},
        "meta": _roles(place, place),
        "hovertemplate": f"{template(name)}<br>layer %{{x}}: %{{y:.3g}}<extra></extra>",
    }


def run_curves(runs: Sequence[tuple[str, Sequence[Point]]], y: str, *, log: bool = False, most: int = 200) -> Drawing:
    """One metric of several runs over steps, a line for each, in the order of their ranks."""
    lines = [Line(name, thin(points, most), i, i // PALETTE, i) for i, (name, points) in enumerate(runs)]
    made = curves((line for line in lines if line.points), y, log=log)
    labels = legend_labels([name for name, _ in runs])
    for trace in made["data"]:
        trace["name"] = labels[trace["meta"]["run"]]
    return made | {"layout": made["layout"] | {"height": 360} | _many(len(lines))}


def legend_labels(names: Sequence[str]) -> list[str]:
    """Names where they are short; otherwise ranks, and hovering tells the name.

    Example:
        >>> legend_labels(["act=elu", "act=relu"]), legend_labels(["act=elu", "model.hidden=[300,100,100]"])
        (['act=elu', 'act=relu'], ['#1', '#2'])
    """
    short = all(len(name) <= LEGEND for name in names)
    return [text(name) for name in names] if short else [f"#{i + 1}" for i in range(len(names))]


def _many(count: int) -> dict[str, Any]:
    """A legend where it can be read; otherwise hovering tells, and the table chooses."""
    return {"showlegend": count > 1, "legend": {"font": {"size": 11}, "x": 1.01, "y": 1, "itemwidth": 30}}
