"""Gradient by layer relative to the last layer's, one line per measured step, and the last layer's over the steps."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gradvitals.diagnosis.profile import DECADES, last_norm, relative
from gradvitals.formatting import number, visible
from gradvitals.report.pictures.canvas import ShownFigure, style
from gradvitals.report.pictures.log_ticks import log_axis
from gradvitals.report.profile_title import Profiles, title

LAYERS, RATIO = "layer index (0 is next to the input)", "dL/dh over the last layer's at the same step"
# The first layer's ratio is between them, unless the gradient vanishes or explodes.
EVEN = (10.0**-DECADES, 10.0**DECADES)
BAND = "even while layer 0 is within this band"
LONGEST = 90  # characters of a subtitle
FEW = 8  # layers up to which each has a dot at each step
DOTS = 40  # layers up to which a line has a dot at each
LOSS = "#D55E00"  # vermilion, which is none of viridis


def gradient_by_layer(
    profiles: Profiles,
    losses: Mapping[int, float] | None = None,
    *,
    subtitle: str | None = None,
    limits: tuple[float, float] | None = None,
) -> Figure:
    """Draws dL/dh of every layer over that of the last layer, one line per measured step, early ones dark.

    A gradient shrinks with the loss, in all layers alike. What shows whether it arrives at the first layers is its
    shape, so that is what is compared; its size, and the loss, are drawn beside it over the steps.

    Args:
        profiles: step -> norms by layer, input side first; what is None, zero or not finite leaves a gap.
        losses: step -> loss; what is not positive leaves a gap.
        subtitle: which network or run it is.
        limits: ends of the axis of ratios, so that several pictures can be compared; None: what fits, and at least
            the ratios that count as even.

    Raises:
        ValueError: no step was measured.

    Example:
        >>> figure = gradient_by_layer({0: [0.1, 0.2, 0.4], 50: [0.2, 0.2, 0.3]})
        >>> figure.axes[0].lines[0].get_ydata().tolist()
        [0.25, 0.5, 1.0]
    """
    if not profiles:
        raise ValueError("gradient_by_layer: expected at least one measured step; got none")
    figure = ShownFigure(figsize=(8, 4.8))
    # Fixed places: letting matplotlib find room takes three times as long as the drawing.
    axes = figure.add_axes((0.1, 0.115, 0.5, 0.74))
    draw_lines(axes, profiles)
    axes.set(xlabel=LAYERS, ylabel=RATIO)
    if limits:
        axes.set_ylim(limits)
    _draw_sizes(figure.add_axes((0.71, 0.115, 0.27, 0.66)), profiles, losses or {})
    shape, sentence = title(profiles)
    figure.text(0.03, 0.94, f"profile: {shape}", fontsize=14, fontweight="bold")
    figure.text(0.03, 0.89, sentence, fontsize=10)
    if subtitle:
        figure.text(0.97, 0.95, shortened(subtitle), ha="right", fontsize=8.5, color="0.4", parse_math=False)
    return figure


def shortened(words: str, longest: int = LONGEST) -> str:
    """Returns printable text, cut where it is too long.

    Example:
        >>> shortened("act=elu", 6)
        'act...'
    """
    words = visible(words)
    return words if len(words) <= longest else words[: longest - 3] + "..."


def draw_lines(axes: Axes, profiles: Profiles) -> None:
    """Draws one line per step, in the color of its step, on an axis that shows at least what counts as even."""
    steps, colors = sorted(profiles), step_colors(profiles)
    ends = steps[0], steps[-1]
    axes.set(yscale="log", xlim=(-0.6, len(profiles[ends[0]]) - 0.4))
    few = len(steps) <= FEW
    for step in steps if few else ends:
        looks = {"linewidth": 2, "zorder": 3} if step in ends else {"linewidth": 0.9, "zorder": 2}
        marker, size = "o" if len(profiles[step]) <= DOTS else None, number(last_norm(profiles[step]), 2)
        label = f"step {step}: last layer {size}"
        draw_line(axes, profiles[step], color=colors[step], marker=marker, markersize=4, label=label, **looks)
    if not few:
        _lines(axes, [ratios(profiles[step]) for step in steps[1:-1]], [colors[step] for step in steps[1:-1]])
    axes.axhspan(*EVEN, color="0.96", zorder=0)
    band: dict[str, Any] = {"annotation_clip": True, "ha": "right", "va": "top", "fontsize": 8, "color": "0.45"}
    axes.annotate(BAND, (0.99, EVEN[1]), (0, -3), ("axes fraction", "data"), "offset points", **band)
    log_axis(axes.yaxis)
    style(axes)
    axes.set_ylim(around(ratio for norms in profiles.values() for ratio in ratios(norms)))


def step_colors(profiles: Collection[int]) -> dict[int, tuple[float, ...]]:
    """Returns the color of each step, early ones dark."""
    first = min(profiles)
    span = max(max(profiles) - first, 1) * 1.12  # the palest end of the map cannot be seen on white
    return {step: colormaps["viridis"]((step - first) / span) for step in profiles}


def heights(norms: Sequence[float | None]) -> list[float]:
    """Returns the numbers that a logarithmic axis can show; the others are NaN, which leaves a gap.

    Example:
        >>> heights([0.5, None, 0.0])
        [0.5, nan, nan]
    """
    return [norm if norm and norm > 0 and math.isfinite(norm) else math.nan for norm in norms]


def ratios(norms: Sequence[float | None]) -> list[float]:
    """Returns the norms over that of the last layer, as far as a logarithmic axis can show them.

    Example:
        >>> ratios([0.1, None, 0.0, 0.2])
        [0.5, nan, nan, 1.0]
    """
    return heights(relative(norms))


def draw_line(axes: Axes, norms: Sequence[float | None], **looks: Any) -> None:
    """Draws the ratios of the norms over the index of their layer."""
    axes.plot(range(len(norms)), ratios(norms), **looks)


def around(values: Iterable[float]) -> tuple[float, float]:
    """Returns the ends of an axis of ratios: around all that are finite, and around those that count as even.

    Example:
        >>> around([1e-6, 1.0])
        (5e-07, 200.0)
    """
    known = [*EVEN, *filter(math.isfinite, values)]
    return min(known) / 2, max(known) * 2


def same_limits(pictures: Sequence[Axes]) -> None:
    """Gives pictures one scale of ratios, so that they can be compared."""
    limits = around(ratio for axes in pictures for ratio in drawn(axes))
    for axes in pictures:
        axes.set_ylim(limits)


def drawn(axes: Axes) -> list[float]:
    """Returns the finite heights of the lines of a picture."""
    lines = (np.asarray(line.get_ydata(), float).tolist() for line in axes.lines)
    return [ratio for line in lines for ratio in line if math.isfinite(ratio)]


def _lines(axes: Axes, many: Sequence[Sequence[float]], colors: Sequence[tuple[float, ...]]) -> None:
    """Draws many lines as one artist: an artist for each takes most of the time."""
    points = [list(enumerate(line)) for line in many]
    axes.add_collection(LineCollection(points, colors=colors, linewidths=0.9, zorder=2))
    if len(many[0]) <= FEW:
        x, y = zip(*(dot for line in points for dot in line), strict=True)
        axes.scatter(x, y, s=16, c=[color for color in colors for _ in many[0]], linewidths=0, zorder=2)


def _draw_sizes(axes: Axes, profiles: Profiles, losses: Mapping[int, float]) -> None:
    """Draws the norm of the last layer over the steps, in the colors of the lines, and the loss."""
    colors = step_colors(profiles)
    sizes = heights([last_norm(norms) for norms in profiles.values()])
    axes.set_yscale("log")
    dots: dict[str, Any] = {"s": 16, "c": list(colors.values()), "linewidths": 0, "zorder": 3}
    axes.scatter(list(profiles), sizes, label="dL/dh of the last layer", **dots)
    loss = heights(list(losses.values()))
    if any(map(math.isfinite, loss)):
        axes.plot(list(losses), loss, color=LOSS, linewidth=1.2, label="loss")
    log_axis(axes.yaxis)
    style(axes, 4)
    axes.set_xlabel("step")
    axes.legend(frameon=False, fontsize=8.5, loc="lower left", bbox_to_anchor=(-0.2, 1.0), borderaxespad=0.2)
