"""The layer x step picture: how large the gradient was, where and when."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradvitals.report.pictures.gradient_by_layer import Profiles, shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NOTHING = "0.8"  # grey: no gradient, zero, or not finite
NAMED = 9  # steps, the first and the last among them
LEAST = 2.0  # decades from the darkest to the brightest colour, so that a healthy net looks even


def gradient_heatmap(moments: Profiles, *, subtitle: str | None = None) -> Figure:
    """Draw the norm of dL/dh by layer (upwards, from the input) and measured step (to the right).

    Args:
        moments: step -> norms by layer, input side first; what is None, zero or not finite is grey.
        subtitle: which net or run it is.

    Raises:
        ValueError: no moment.

    Example:
        >>> figure = gradient_heatmap({0: [0.1, 0.2, 0.4], 50: [0.2, 0.0, 0.3]})
        >>> figure.axes[0].get_ylabel()
        'layer index (0 is next to the input)'
    """
    if not moments:
        raise ValueError("gradient_heatmap: expected at least one moment; got none")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8))
    axes = figure.add_axes((0.09, 0.115, 0.77, 0.755))
    _cells(axes, moments)
    figure.text(0.03, 0.945, "Gradient size by layer and step", fontsize=14, fontweight="bold")
    if subtitle:
        figure.text(0.03, 0.9, shortened(subtitle), fontsize=8.5, color="0.4", parse_math=False)
    return figure


def _cells(axes: Axes, moments: Profiles) -> None:
    """A column for each measured step, side by side: the first steps are the densest, and worth their room."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    from gradvitals.report.pictures.colour_bar import colour_bar
    from gradvitals.report.pictures.log_ticks import span, ticks, words

    steps = sorted(moments)
    rows = _rows([moments[step] for step in steps])
    known = [size for row in rows for size in row if not math.isnan(size)]
    low, high = span(10 ** min(known, default=0.0), 10 ** max(known, default=0.0), LEAST)
    ends = math.log10(low), math.log10(high)
    colours = colormaps["viridis"].with_extremes(bad=NOTHING)
    axes.imshow(rows, vmin=ends[0], vmax=ends[1], cmap=colours, aspect="auto", origin="lower", interpolation="nearest")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    gaps = min(NAMED, len(steps)) - 1
    shown = [column * (len(steps) - 1) // max(gaps, 1) for column in range(gaps + 1)]
    axes.set_xticks(shown, [str(steps[column]) for column in shown])
    axes.set(xlabel="step (a column for each that was measured)", ylabel="layer index (0 is next to the input)")
    bar = colour_bar(axes.figure, (0.88, 0.115, 0.018, 0.755), colours, ends)
    named = ticks(low, high)
    bar.set_yticks([math.log10(size) for size in named], words(named))
    bar.set_ylabel("L2 norm of dL/dh (grey: none)")


def _rows(columns: Sequence[Sequence[float | None]]) -> list[list[float]]:
    """Sizes as powers of ten by layer; what has none is not a number."""
    depth = max(len(column) for column in columns)
    full = [[*column, *[None] * (depth - len(column))] for column in columns]
    return [[_power(norm) for norm in row] for row in zip(*full, strict=True)]


def _power(norm: float | None) -> float:
    return math.log10(norm) if norm and math.isfinite(norm) else math.nan
