"""Gradient norm by layer, one line per measured step."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gradvitals.diagnosis.profile import profile
from gradvitals.formatting import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Profiles = Mapping[int, Sequence[float | None]]  # step -> norms of dL/dh by layer, input side first
LAYERS, NORMS = "layer index (0 is next to the input)", "gradient norm: L2 norm of dL/dh"
LONGEST = 90  # characters of a subtitle
FEW = 8  # layers up to which each has a dot, and steps up to which a legend names each
DOTS = 40  # layers up to which a line has a dot at each


def gradient_by_layer(
    profiles: Profiles, *, subtitle: str | None = None, limits: tuple[float, float] | None = None
) -> Figure:
    """Draws the norm of dL/dh at every layer, one line per measured step, early ones dark.

    Args:
        profiles: step -> norms by layer, input side first; what is None, zero or not finite leaves a gap.
        subtitle: which network or run it is.
        limits: ends of the axis of norms, so that several pictures can be compared; None: what fits.

    Raises:
        ValueError: no step was measured.

    Example:
        >>> figure = gradient_by_layer({0: [0.1, 0.2, 0.4], 50: [0.2, 0.2, 0.3]})
        >>> figure.axes[0].get_yscale()
        'log'
    """
    if not profiles:
        raise ValueError("gradient_by_layer: expected at least one measured step; got none")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8))
    # Fixed places: letting matplotlib find room takes three times as long as the drawing.
    axes = figure.add_axes((0.12, 0.115, 0.765 if len(profiles) > FEW else 0.85, 0.74))
    draw_lines(axes, profiles)
    axes.set(xlabel=LAYERS, ylabel=NORMS, ylim=limits)
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
    """Draws one line per step; its color is explained by a legend, or by a color bar where there are many steps."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    from gradvitals.report.pictures.color_bar import color_bar
    from gradvitals.report.pictures.log_ticks import log_axis

    steps = sorted(profiles)
    ends = steps[0], steps[-1]
    span = max(ends[1] - ends[0], 1) * 1.12  # the palest end of the map cannot be seen on white
    colors = {step: colormaps["viridis"]((step - ends[0]) / span) for step in steps}
    few = len(steps) <= FEW
    axes.set(yscale="log", xlim=(-0.6, len(profiles[ends[0]]) - 0.4))
    for step in steps if few else ends:
        looks = {"linewidth": 2, "zorder": 3} if step in ends else {"linewidth": 0.9, "zorder": 2}
        marker = "o" if len(profiles[step]) <= DOTS else None
        draw_line(axes, profiles[step], color=colors[step], marker=marker, markersize=4, label=f"step {step}", **looks)
    if not few:
        _lines(axes, [heights(profiles[step]) for step in steps[1:-1]], [colors[step] for step in steps[1:-1]])
    log_axis(axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if few:
        axes.legend(frameon=False, fontsize="small")
    else:
        scale = ends[0], ends[0] + span
        bar = color_bar(axes.figure, (0.895, 0.115, 0.012, 0.74), colormaps["viridis"], ends, scale)
        bar.set_ylabel("step", rotation=0, ha="center", va="bottom")
        bar.yaxis.set_label_coords(0.9, 1.02)  # above, whatever the numbers' width


def heights(norms: Sequence[float | None]) -> list[float]:
    """Returns the norms that a logarithmic axis can show; the others are NaN, which leaves a gap.

    Example:
        >>> heights([0.5, None, 0.0])
        [0.5, nan, nan]
    """
    return [norm if norm and math.isfinite(norm) else math.nan for norm in norms]


def draw_line(axes: Axes, norms: Sequence[float | None], **looks: Any) -> None:
    """Draws the norms over the index of their layer."""
    axes.plot(range(len(norms)), heights(norms), **looks)


def drawn(axes: Axes) -> list[float]:
    """Returns the norms that the lines of a picture show."""
    import numpy as np

    return [norm for line in axes.lines for norm in np.asarray(line.get_ydata(), float).tolist() if math.isfinite(norm)]


def same_limits(pictures: Sequence[Axes]) -> None:
    """Gives pictures one scale of norms, so that they can be compared."""
    norms = [norm for axes in pictures for norm in drawn(axes)]
    for axes in pictures if norms else ():
        axes.set_ylim(min(norms) / 2, max(norms) * 2)


def _lines(axes: Axes, many: Sequence[Sequence[float]], colors: Sequence[tuple[float, ...]]) -> None:
    """Draws many lines as one artist: an artist for each takes most of the time."""
    from matplotlib.collections import LineCollection

    points = [list(enumerate(line)) for line in many]
    axes.add_collection(LineCollection(points, colors=colors, linewidths=0.9, zorder=2))
    if len(many[0]) <= FEW:
        x, y = zip(*(dot for line in points for dot in line), strict=True)
        axes.scatter(x, y, s=16, c=[color for color in colors for _ in many[0]], linewidths=0, zorder=2)
    axes.autoscale_view(scalex=False)


def title(profiles: Profiles) -> tuple[str, str]:
    """Returns the shape of a profile and its evidence: of the first step that is not finite, else of the first step.

    A profile is ``even``, where the verdict of a run would be healthy: it says nothing about what the network learns.

    Example:
        >>> title({0: [1e-6, 1e-4, 1e-2]})
        ('vanishing', "at step 0 layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer")
    """
    found = {step: profile(profiles[step]) for step in sorted(profiles)}
    sick = (step for step, shape in found.items() if shape.label == "non_finite")
    step = next(sick, min(found))
    label = "even" if found[step].label == "healthy" else found[step].label
    return label, f"at step {step} {found[step].evidence}"


def png(figure: Figure, dpi: int = 150) -> bytes:
    """Returns the bytes of a PNG file."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, pil_kwargs={"compress_level": 3})  # the usual 6 takes thrice the time
    return stream.getvalue()
