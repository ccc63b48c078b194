"""Numbers in, figures out: plain dicts as Plotly draws them, without Plotly's own slow objects.

Colours are roles (see :mod:`gradvitals.report.script`). Where lines are few, dash and marker tell them apart as well.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradvitals.results.curves import ByLayer, Point, thin

Drawing = dict[str, Any]
Trace = dict[str, Any]

PALETTE = 6
DASHES = ("solid", "dash", "dot", "dashdot")
MARKERS = ("circle", "square", "diamond", "triangle-up", "cross", "x")
MOST_POINTS = 400  # of a curve
FEW_STEPS = 8  # lines of one figure
MOST_COLUMNS = 120  # steps of a heat map
LAYER_AXIS = "layer (0 is next to the input)"
GRADIENT_AXIS = "‖dL/dh‖"
SHARES = ("share", "accuracy")


@dataclass(frozen=True)
class Line:
    """A curve.

    Attributes:
        name: in the legend.
        points: of step and value.
        colour: index of its colour.
        dash: index of its dash.
        run: the run it belongs to, which the page may hide; None: none.
    """

    name: str
    points: Sequence[Point]
    colour: int = 0
    dash: int = 0
    run: int | None = None


def number(value: float | None) -> float | None:
    """As many digits as a screen shows; None for what is not finite.

    Example:
        >>> number(0.123456789), number(float("inf"))
        (0.12346, None)
    """
    return float(f"{value:.5g}") if value is not None and math.isfinite(value) else None


def logarithm(value: float | None) -> float | None:
    """Of base 10; None for what has none."""
    return number(math.log10(value)) if value and value > 0 and math.isfinite(value) else None


def text(words: object) -> str:
    """Words as Plotly takes them, which reads tags in a text."""
    return html.escape(str(words), quote=False)


def template(words: object) -> str:
    """Words inside a template of Plotly's, which reads ``%{...}`` in it.

    Example:
        >>> template("a<b %{x}")
        'a&lt;b %&#123;x}'
    """
    return text(words).replace("{", "&#123;")


def drawing(data: Sequence[Trace], x: Mapping[str, Any], y: Mapping[str, Any], **layout: Any) -> Drawing:
    """A figure with the house's axes."""
    base = {
        "height": 310,
        "margin": {"l": 64, "r": 14, "t": 12, "b": 48},
        "font": {"size": 12},
        "hovermode": "closest",
        "showlegend": len(data) > 1,
        "legend": {"orientation": "h", "y": -0.24, "yanchor": "top", "x": 0},
        "xaxis": _axis(x),
        "yaxis": _axis(y),
        "uirevision": "kept",  # zoom and hidden lines survive a change of theme
    }
    return {"data": list(data), "layout": base | layout}


def _axis(options: Mapping[str, Any]) -> dict[str, Any]:
    title = {"text": text(options.get("title", "")), "standoff": 8}
    looks: dict[str, Any] = {"zeroline": False, "automargin": True, "ticks": "outside", "ticklen": 4}
    if options.get("type") == "log":
        looks |= {"exponentformat": "power", "minorloglabels": "none"}
    return looks | dict(options) | {"title": title}


def curves(lines: Iterable[Line], y: str, *, log: bool = False) -> Drawing:
    """Values over steps.

    Example:
        >>> made = curves([Line("train", [(0, 2.5), (10, 1.5)])], "loss")
        >>> made["data"][0]["x"], made["data"][0]["y"]
        ([0, 10], [2.5, 1.5])
    """
    traces = [_curve(line) for line in lines]
    return drawing(traces, {"title": "step", "rangemode": "tozero"}, value_axis(y, log))


def _curve(line: Line) -> Trace:
    points = thin(line.points, MOST_POINTS)
    few = len(points) <= 25
    return {
        "type": "scatter",
        "mode": "lines+markers" if few else "lines",
        "name": text(line.name),
        "x": [step for step, _ in points],
        "y": [number(value) for _, value in points],
        "line": {"width": 1.8, "dash": DASHES[line.dash % len(DASHES)]},
        "marker": {"size": 6, "symbol": MARKERS[line.colour % len(MARKERS)]},
        "meta": _roles(line.colour, line.run),
        "hovertemplate": f"{template(line.name)}<br>step %{{x}}: %{{y:.4g}}<extra></extra>",
    }


def _roles(colour: int, run: int | None) -> dict[str, int]:
    return {"colour": colour % PALETTE} | ({} if run is None else {"run": run})


def by_layer_lines(found: ByLayer, y: str, *, log: bool = True, predicted: Sequence[float | None] = ()) -> Drawing:
    """A line per measured step over the layers, early to late; what is not measured leaves a gap.

    Args:
        found: the numbers.
        y: what they are.
        log: whether the axis is logarithmic.
        predicted: what theory expects at the first step.

    Example:
        >>> made = by_layer_lines(ByLayer(["0.a", "1.b"], [0, 50], [[1e-3, 1.0], [None, 1.0]]), "norm")
        >>> [trace["y"] for trace in made["data"]]
        [[0.001, 1.0], [None, 1.0]]
    """
    wanted = spaced(found.steps, FEW_STEPS)
    traces = [_profile(found, step, i / max(len(wanted) - 1, 1), log) for i, step in enumerate(wanted)]
    if any(value is not None for value in predicted):
        traces.append(_prediction(found.layers, predicted))
    legend = {"title": {"text": "step"}, "font": {"size": 11}, "x": 1.01, "y": 1, "itemwidth": 30}
    return drawing(traces, _layer_axis(found.layers), value_axis(y, log), legend=legend)


def value_axis(what: str, log: bool = False) -> dict[str, Any]:
    """An axis of values; shares fill it from 0 to 1, so that figures compare and nothing is blown up."""
    if what.startswith(SHARES):
        return {"title": what, "range": [-0.03, 1.03]}
    return {"title": what} | ({"type": "log"} if log else {})


def spaced(steps: Sequence[int], most: int) -> list[int]:
    """The first, the last, and some between them, as far apart as can be.

    Example:
        >>> spaced([0, 1, 2, 3, 50, 100], 3)
        [0, 50, 100]
    """
    if len(steps) <= most:
        return list(steps)
    ends = steps[0], steps[-1]
    wanted = (ends[0] + i * (ends[1] - ends[0]) / (most - 1) for i in range(most))
    return sorted({min(steps, key=lambda step, at=at: abs(step - at)) for at in wanted})  # type: ignore[misc]


def evenly(count: int, most: int) -> list[int]:
    """Places of the first, the last and every so many between them.

    Example:
        >>> evenly(9, 3), evenly(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return [i * (count - 1) // (most - 1) for i in range(most)] if count > most else list(range(count))


def _profile(found: ByLayer, step: int, shade: float, log: bool) -> Trace:
    values = found.values[found.steps.index(step)]
    ends = shade in (0, 1)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(values) <= 40 else "lines",
        "name": f"{step}",
        "x": positions(found.layers),
        "y": [number(value) if value or not log else None for value in values],
        "text": [text(label) for label in found.layers],
        "line": {"width": 2.2 if ends else 1.2},
        "marker": {"size": 6 if ends else 4, "symbol": "circle" if shade < 1 else "square"},
        "meta": {"shade": round(shade, 3)},
        "hovertemplate": f"%{{text}}<br>step {step}: %{{y:.3g}}<extra></extra>",
    }


def _prediction(layers: Sequence[str], values: Sequence[float | None]) -> Trace:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "theory, 0",
        "x": positions(layers),
        "y": [number(value) for value in values],
        "line": {"width": 1.6, "dash": "dot"},
        "meta": {"colour": 6},
        "hovertemplate": "predicted by theory: %{y:.3g}<extra></extra>",
    }


def positions(layers: Sequence[str]) -> list[int] | list[str]:
    """Where layers stand on an axis: their index, or the first and last index of a block of them.

    Example:
        >>> positions(["00.net.a", "01.net.b"]), positions(["00-07.a", "08-15.b"])
        ([0, 1], ['0-7', '8-15'])
    """
    heads = [label.partition(".")[0] for label in layers]
    if all(head.isdecimal() for head in heads):
        return [int(head) for head in heads]
    return ["-".join(str(int(part)) for part in head.split("-") if part.isdecimal()) for head in heads]


def _layer_axis(layers: Sequence[str]) -> dict[str, Any]:
    whole = len(layers) <= 20 and all(isinstance(place, int) for place in positions(layers))
    return {"title": LAYER_AXIS} | ({"dtick": 1} if whole and len(layers) <= 14 else {})


def heat_maps(tables: Sequence[ByLayer], most_columns: int = MOST_COLUMNS) -> Drawing:
    """Gradient size, as powers of ten, by layer and measured step; one map for each choice.

    What was not measured, or was zero, is a gap. Steps stand side by side as they were measured, not by distance.

    Example:
        >>> heat_maps([ByLayer(["0.a", "1.b"], [0, 50], [[1e-3, 1.0], [None, 1.0]])])["data"][0]["z"]
        [[-3.0, None], [0.0, 0.0]]
    """
    traces = [_heat_map(found, i if len(tables) > 1 else None, most_columns) for i, found in enumerate(tables)]
    deep = max((len(found.layers) for found in tables), default=1)
    x, y = {"title": "measured step", "type": "category", "showgrid": False}, {"title": LAYER_AXIS, "showgrid": False}
    height = min(max(16 * deep + 90, 310), 560)
    return drawing(traces, x, y, height=height, showlegend=False, meta={"gaps": True})


def _heat_map(found: ByLayer, choice: int | None, most_columns: int) -> Trace:
    kept = evenly(len(found.steps), most_columns)
    rows = [found.values[i] for i in kept]
    return {
        "type": "heatmap",
        "x": [str(found.steps[i]) for i in kept],
        "y": positions(found.layers),
        "z": [[logarithm(row[i]) for row in rows] for i in range(len(found.layers))],
        "colorscale": "Viridis",
        "colorbar": {"title": {"text": "log₁₀ ‖dL/dh‖", "side": "right"}, "thickness": 12, "outlinewidth": 0},
        "hoverongaps": False,
        "meta": {} if choice is None else {"choice": choice},
        "hovertemplate": "layer %{y}, step %{x}<br>‖dL/dh‖ = 10<sup>%{z:.2f}</sup><extra></extra>",
    }
