"""The outputs of the activations by layer: their standard deviation, dead units and saturation."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from gradvitals.report.pictures.gradient_by_layer import DOTS, LAYERS, heights
from gradvitals.report.pictures.log_ticks import log_heights

STD, DEAD, SATURATED = "#0072B2", "#D55E00", "#E69F00"  # distinct with any color vision (Okabe & Ito, 2008)
Numbers = Sequence[float | None]  # by layer, input side first


def draw_activations(axes: Axes, std: Numbers, dead: Numbers, saturated: Numbers) -> None:
    """Draws the standard deviation as a line, and the shares of dead units and saturated outputs as bars.

    Args:
        std: standard deviation over batch and units, of the output of the activation that follows a layer.
        dead: share of units that returned 0 for all samples; None where a layer's activation has none.
        saturated: share of outputs where the slope is nearly 0; likewise.
    """
    axes.plot(
        range(len(std)), heights(std), color=STD, marker="o" if len(std) <= DOTS else None, markersize=4, linewidth=1.6
    )
    log_heights(axes, heights(std), 1.2)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set(xlabel=LAYERS, xlim=(-0.6, len(std) - 0.4))
    axes.set_ylabel("activation std", color=STD)
    axes.tick_params(axis="y", colors=STD)
    right = axes.twinx()
    for values, name, color, shift in (
        (dead, "dead units", DEAD, -0.2),
        (saturated, "saturated outputs", SATURATED, 0.2),
    ):
        if any(value is not None for value in values):
            places = [layer + shift for layer in range(len(values))]
            right.bar(places, [value or 0.0 for value in values], width=0.36, color=color, alpha=0.55, label=name)
    right.set_ylim(0, 1)
    right.yaxis.set_major_formatter(PercentFormatter(1.0))
    right.set_ylabel("share of units or outputs (bars)")
    axes.set_zorder(right.get_zorder() + 1)  # the line is in front of the bars
    axes.patch.set_visible(False)
    for each in (axes, right):
        each.spines["top"].set_visible(False)
    if right.patches:
        right.legend(framealpha=0.7, edgecolor="none", fontsize=8, loc="upper right")
