"""Gradient norm by layer and step, as a heat map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from gradvitals.report.pictures.canvas import ShownFigure
from gradvitals.report.pictures.gradient_by_layer import LAYERS, heights, shortened
from gradvitals.report.pictures.log_ticks import labels, span, ticks
from gradvitals.report.profile_title import Profiles
from gradvitals.report.steps import evenly

NOTHING = "0.8"  # grey: no gradient, zero, or not finite
NAMED = 9  # steps on the axis, the first and the last among them
BAR_CELLS = 128
LEAST = 2.0  # decades from the darkest to the brightest color, so that a healthy network looks even


def gradient_heatmap(profiles: Profiles, *, subtitle: str | None = None) -> Figure:
    """Draws the norm of dL/dh by layer (upwards, from the input) and measured step (to the right).

    Args:
        profiles: step -> norms by layer, input side first; what is None, zero or not finite is grey.
        subtitle: which network or run it is.

    Raises:
        ValueError: no step was measured.

    Example:
        >>> figure = gradient_heatmap({0: [0.1, 0.2, 0.4], 50: [0.2, 0.0, 0.3]})
        >>> figure.axes[0].get_ylabel()
        'layer index (0 is next to the input)'
    """
    if not profiles:
        raise ValueError("gradient_heatmap: expected at least one measured step; got none")
    figure = ShownFigure(figsize=(8, 4.8))
    axes = figure.add_axes((0.09, 0.115, 0.77, 0.755))
    draw_heatmap(axes, profiles)
    figure.text(0.03, 0.945, "Gradient norm by layer and step", fontsize=14, fontweight="bold")
    if subtitle:
        figure.text(0.03, 0.9, shortened(subtitle), fontsize=8.5, color="0.4", parse_math=False)
    return figure


def draw_heatmap(axes: Axes, profiles: Profiles) -> None:
    """Draws one column per measured step, all of one width: the first steps are the densest and need room."""
    steps = sorted(profiles)
    columns = [[math.log10(height) for height in heights(profiles[step])] for step in steps]
    bar = draw_powers(axes, list(zip_longest(*columns, fillvalue=math.nan)), steps, NAMED)
    axes.set(xlabel="step (one column for each measured step)", ylabel=LAYERS)
    bar.set_ylabel("L2 norm of dL/dh (grey: none)")


def draw_powers(
    axes: Axes,
    rows: Sequence[Sequence[float]],
    steps: Sequence[int],
    named: int,
    extent: tuple[float, float, float, float] | None = None,
) -> Axes:
    """Draws powers of ten, a column for each of the ``steps``, of which ``named`` are named; returns the color bar."""
    known = [power for row in rows for power in row if not math.isnan(power)]
    low, high = span(10 ** min(known, default=0.0), 10 ** max(known, default=0.0), LEAST)
    ends = math.log10(low), math.log10(high)
    colors = colormaps["viridis"].with_extremes(bad=NOTHING)
    looks: dict[str, Any] = {"aspect": "auto", "origin": "lower", "interpolation": "nearest"}
    axes.imshow(rows, vmin=ends[0], vmax=ends[1], cmap=colors, extent=extent, **looks)
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    columns = evenly(len(steps), named)
    axes.set_xticks(columns, [str(steps[column]) for column in columns])
    bar, norms = color_bar(axes, colors, ends), ticks(low, high)
    bar.set_yticks([math.log10(norm) for norm in norms], labels(norms))
    return bar


def color_bar(beside: Axes, colors: Any, ends: tuple[float, float]) -> Axes:
    """Draws a color bar to the right of what it explains; one of matplotlib's own takes three times as long.

    Args:
        ends: values of the map's first and last color.

    Example:
        >>> from matplotlib import colormaps
        >>> from matplotlib.figure import Figure
        >>> bar = color_bar(Figure().add_axes((0.1, 0.1, 0.7, 0.8)), colormaps["viridis"], (0, 80))
        >>> low, high = bar.get_ylim()
        >>> print(low, high)
        0.0 80.0
    """
    low, high = ends
    column = [[low + (high - low) * (cell + 0.5) / BAR_CELLS] for cell in range(BAR_CELLS)]
    axes = beside.inset_axes((1.026, 0, 0.0234, 1))
    axes.imshow(column, cmap=colors, vmin=low, vmax=high, extent=(0, 1, *ends), aspect="auto", origin="lower")
    axes.yaxis.tick_right()
    axes.yaxis.set_label_position("right")
    axes.set_xticks([])
    axes.spines[:].set_visible(False)
    return axes
