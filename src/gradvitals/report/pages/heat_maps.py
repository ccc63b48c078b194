"""Heat maps: gradient norm by layer and step, and an objective by the values of two keys; one map for each choice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gradvitals.report.pages.figures import LAYER_AXIS, Trace, drawing, number, positions, text
from gradvitals.report.pages.page import Drawing
from gradvitals.report.steps import evenly
from gradvitals.results.curves import ByLayer

MOST_COLUMNS = 120  # steps of a map


@dataclass(frozen=True)
class Grid:
    """A number for each pair of two keys' values: one list for each row."""

    rows: Sequence[str]
    columns: Sequence[str]
    values: Sequence[Sequence[float | None]]


def by_layer_and_step(tables: Sequence[ByLayer], most_columns: int = MOST_COLUMNS) -> Drawing:
    """Returns maps of the gradient norm, as powers of ten, by layer and measured step.

    What was not measured, or was zero, is a gap. Columns have one width, however far apart their steps are.

    Example:
        >>> by_layer_and_step([ByLayer(["0.a", "1.b"], [0, 50], [[1e-3, 1.0], [None, 1.0]])])["data"][0]["z"]
        [[-3.0, None], [0.0, 0.0]]
    """
    traces = [_norms(found, choice, most_columns) for choice, found in enumerate(tables)]
    deepest = max((len(found.layers) for found in tables), default=1)
    x, y = ({"title": title, "type": "category", "showgrid": False} for title in ("measured step", LAYER_AXIS))
    height = min(max(16 * deepest + 90, 310), 560)
    return drawing(traces, x, y, height=height, showlegend=False, meta={"gaps": True})


def _norms(found: ByLayer, choice: int, most_columns: int) -> Trace:
    kept = evenly(len(found.steps), most_columns)
    rows = [found.values[i] for i in kept]
    return heat_map(
        [str(found.steps[i]) for i in kept],
        positions(found.layers),
        [[logarithm(row[i]) for row in rows] for i in range(len(found.layers))],
        "log₁₀ ‖dL/dh‖",
        choice,
        colorscale="Viridis",
        hovertemplate="layer %{y}, step %{x}<br>‖dL/dh‖ = 10<sup>%{z:.2f}</sup><extra></extra>",
    )


def logarithm(value: float | None) -> float | None:
    """Returns the power of ten of a size; None for what has none.

    Example:
        >>> logarithm(0.01), logarithm(0.0)
        (-2.0, None)
    """
    return number(math.log10(value)) if value and value > 0 and math.isfinite(value) else None


def grids(found: Sequence[Grid], what: str, reverse: bool = False) -> Drawing:
    """Returns maps with their numbers in the cells.

    Args:
        reverse: whether low numbers are bright.

    Example:
        >>> grids([Grid(["a=1"], ["b=1", "b=2"], [[0.5, None]])], "val/acc")["data"][0]["z"]
        [[0.5, None]]
    """
    traces = [
        heat_map(
            [text(name) for name in grid.columns],
            [text(name) for name in grid.rows],
            [[number(value) for value in row] for row in grid.values],
            what,
            choice,
            colorscale="Cividis",
            reversescale=reverse,
            texttemplate="%{z:.3g}",
            hovertemplate="%{y}, %{x}: %{z:.4g}<extra></extra>",
        )
        for choice, grid in enumerate(found)
    ]
    tallest = max((len(grid.rows) for grid in found), default=1)
    axis = {"title": "", "type": "category", "showgrid": False}
    height = min(max(34 * tallest + 90, 240), 640)
    return drawing(traces, axis, axis, height=height, showlegend=False, meta={"gaps": True})


def heat_map(
    x: Sequence[str], y: Sequence[Any], z: Sequence[Sequence[float | None]], what: str, choice: int = 0, **looks: Any
) -> Trace:
    """Returns a map with its color bar.

    Args:
        what: title of the color bar.
        choice: of several maps, the one among which the page chooses.
        **looks: more options of Plotly's heat map.
    """
    bar = {"title": {"text": text(what), "side": "right"}, "thickness": 12, "outlinewidth": 0}
    base = {
        "type": "heatmap",
        "x": x,
        "y": y,
        "z": z,
        "colorbar": bar,
        "hoverongaps": False,
        "meta": {"choice": choice},
    }
    return base | looks
