"""The picture of the slides: gradient size versus layer index, one line per moment of training."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gradvitals.diagnosis.profile import profile
from gradvitals.formatting import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Colour = tuple[float, float, float, float]
Profiles = Mapping[int, Sequence[float | None]]
LONGEST = 90  # characters of a subtitle
FEW = 8  # layers up to which each has a dot and a tick of its own, and moments up to which a legend names each


def gradient_by_layer(
    moments: Profiles, *, subtitle: str | None = None, limits: tuple[float, float] | None = None
) -> Figure:
    """Draw the norm of dL/dh at every layer, one line per moment, early ones dark.

    Args:
        moments: step -> norms by layer, input side first; what is None, zero or not finite leaves a gap.
        subtitle: which net or run it is.
        limits: ends of the axis of sizes, so that several pictures compare; None: what fits.

    Raises:
        ValueError: no moment.

    Example:
        >>> figure = gradient_by_layer({0: [0.1, 0.2, 0.4], 50: [0.2, 0.2, 0.3]})
        >>> figure.axes[0].get_yscale()
        'log'
    """
    if not moments:
        raise ValueError("gradient_by_layer: expected at least one moment; got none")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.8))
    # Fixed places: letting matplotlib find room takes three times as long as the drawing.
    axes = figure.add_axes((0.12, 0.115, 0.765 if len(moments) > FEW else 0.85, 0.74))
    draw_lines(axes, moments)
    axes.set(xlabel="layer index (0 is next to the input)", ylabel="gradient size: L2 norm of dL/dh", ylim=limits)
    verdict, sentence = title(moments)
    figure.text(0.03, 0.94, verdict, fontsize=14, fontweight="bold")
    figure.text(0.03, 0.89, sentence, fontsize=10)
    if subtitle:
        figure.text(0.97, 0.95, shortened(subtitle), ha="right", fontsize=8.5, color="0.4", parse_math=False)
    return figure


def shortened(words: str, longest: int = LONGEST) -> str:
    """The words as a font has them, cut where they are too long.

    Example:
        >>> shortened("act=elu", 6)
        'act...'
    """
    words = visible(words)
    return words if len(words) <= longest else words[: longest - 3] + "..."


def draw_lines(axes: Axes, moments: Profiles) -> None:
    """One line per moment; colour tells the step, a legend or a colour bar which is which."""
    from matplotlib import colormaps
    from matplotlib.ticker import MaxNLocator

    from gradvitals.report.pictures.colour_bar import colour_bar
    from gradvitals.report.pictures.log_ticks import log_axis

    steps = sorted(moments)
    span = max(steps[-1] - steps[0], 1) * 1.12  # the palest end of the map cannot be seen on white
    colours = {step: colormaps["viridis"]((step - steps[0]) / span) for step in steps}
    depth = len(moments[steps[0]])
    few = len(steps) <= FEW
    axes.set(yscale="log", xlim=(-0.6, depth - 0.4))
    for step in steps if few else (steps[0], steps[-1]):
        _line(axes, step, _heights(moments[step]), colours[step], bold=step in (steps[0], steps[-1]))
    if not few:
        _lines(axes, [_heights(moments[step]) for step in steps[1:-1]], [colours[step] for step in steps[1:-1]])
    log_axis(axes.yaxis)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if few:
        axes.legend(frameon=False, fontsize="small")
    else:
        ends = steps[0], steps[-1]
        bar = colour_bar(
            axes.figure, (0.895, 0.115, 0.012, 0.74), colormaps["viridis"], ends, (ends[0], ends[0] + span)
        )
        bar.set_ylabel("step", rotation=0, ha="center", va="bottom")
        bar.yaxis.set_label_coords(0.9, 1.02)  # above, whatever the numbers' width


def _heights(norms: Sequence[float | None]) -> list[float]:
    """What cannot be drawn leaves a gap."""
    return [norm if norm and math.isfinite(norm) else math.nan for norm in norms]


def _line(axes: Axes, step: int, heights: Sequence[float], colour: Colour, *, bold: bool) -> None:
    axes.plot(
        range(len(heights)),
        heights,
        color=colour,
        marker="o" if len(heights) <= 40 else None,
        markersize=4,
        linewidth=2 if bold else 0.9,
        zorder=3 if bold else 2,
        label=f"step {step}",
    )


def _lines(axes: Axes, many: Sequence[Sequence[float]], colours: Sequence[Colour]) -> None:
    """Many lines as one artist: an artist for each takes most of the time."""
    from matplotlib.collections import LineCollection

    points = [list(enumerate(heights)) for heights in many]
    axes.add_collection(LineCollection(points, colors=colours, linewidths=0.9, zorder=2))
    if len(many[0]) <= FEW:
        x, y = zip(*(dot for line in points for dot in line), strict=True)
        axes.scatter(x, y, s=16, c=[colour for colour in colours for _ in many[0]], linewidths=0, zorder=2)
    axes.autoscale_view(scalex=False)


def title(moments: Profiles) -> tuple[str, str]:
    """The verdict of the picture and its evidence: the first number that is not finite, else the first moment's shape.

    Example:
        >>> title({0: [1e-6, 1e-4, 1e-2]})
        ('vanishing', "at step 0 layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer")
    """
    profiles = {step: profile(moments[step]) for step in sorted(moments)}
    sick = (step for step, found in profiles.items() if found.label == "non_finite")
    step = next(sick, min(profiles))
    return profiles[step].label, f"at step {step} {profiles[step].evidence}"


def png(figure: Figure, dpi: int = 150) -> bytes:
    """The figure as a PNG file's bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=dpi, pil_kwargs={"compress_level": 3})  # the usual 6: thrice the time
    return stream.getvalue()
