"""Gradient at each time step of the recurrent layers: a line for each measured step, and all of them as a heat map."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradvitals.diagnosis.time_profile import TimeNorms, time_profile
from gradvitals.report.pictures.canvas import ShownFigure, style
from gradvitals.report.pictures.gradient_by_layer import heights, shortened, step_colors
from gradvitals.report.pictures.gradient_heatmap import draw_powers
from gradvitals.report.pictures.log_ticks import log_axis
from gradvitals.report.steps import spaced
from gradvitals.signal_propagation.reading import TimeReading

OfLayer = Mapping[int, TimeNorms]  # measured step -> norms by time step
TIME, NORM = "time step", "L2 norm of dL/dx at the step"
MOST_LAYERS, FEW, NAMED = 3, 6, 6  # layers and lines of a figure, ticks of the measured steps
ROW = 4.0  # inches
LONGEST_LABEL = 40  # characters, beside the evidence
THEORY = "#D55E00"  # vermilion, which is none of viridis


def gradient_through_time(
    layers: Mapping[str, OfLayer],
    predicted: Mapping[str, float] | None = None,
    *,
    subtitle: str | None = None,
    maps: bool = True,
) -> Figure:
    """Draws the gradient by time step, a row for each recurrent layer: lines, and a heat map over the training.

    Args:
        layers: label of a recurrent layer -> measured step -> norms; the first three layers are drawn.
        predicted: label -> factor per time step that theory expects, drawn from the last time step backward.
        subtitle: which network or run it is.
        maps: whether to draw heat maps.

    Raises:
        ValueError: no recurrent layer was measured.

    Example:
        >>> figure = gradient_through_time({"00.rnn": {0: TimeNorms(3, (0.01, 0.1, 1.0))}})
        >>> figure.axes[0].lines[0].get_ydata().tolist()
        [0.01, 0.1, 1.0]
    """
    shown = dict(list(layers.items())[:MOST_LAYERS])
    if not any(shown.values()):
        raise ValueError("gradient_through_time: expected a measured recurrent layer; got none")
    tall = ROW * len(shown) + 0.4
    figure = ShownFigure(figsize=(9, tall))
    for place, (label, profiles) in enumerate(shown.items()):
        bottom, height = (ROW * (len(shown) - 1 - place) + 0.55) / tall, (ROW - 1.0) / tall
        lines = figure.add_axes((0.09, bottom, 0.38 if maps else 0.86, height))
        draw_time_lines(lines, profiles, (predicted or {}).get(label))
        above = f"{shortened(label, LONGEST_LABEL)}: {title(profiles)}"
        lines.set_title(above, fontsize=10, loc="left", parse_math=False)
        if maps:
            draw_time_map(figure.add_axes((0.56, bottom, 0.32, height)), profiles)
    figure.text(0.03, 1 - 0.4 / tall, "Gradient through time", fontsize=14, fontweight="bold")
    if subtitle:
        figure.text(0.97, 1 - 0.35 / tall, shortened(subtitle), ha="right", fontsize=8.5, color="0.4", parse_math=False)
    return figure


def preflight_through_time(readings: Sequence[TimeReading], *, subtitle: str | None = None) -> Figure:
    """Draws what a pre-flight found: the gradient by time step, and the slope that theory expects.

    Args:
        readings: of recurrent layers; the first three are drawn.
        subtitle: which network it is.

    Raises:
        ValueError: there is none.
    """
    layers = {reading.layer: {0: TimeNorms.of(reading.norms)} for reading in readings}
    predicted = {r.layer: r.factor_predicted for r in readings if r.factor_predicted is not None}
    return gradient_through_time(layers, predicted, subtitle=subtitle, maps=False)


def title(profiles: OfLayer) -> str:
    """Returns the shape of the first measured step, and its evidence.

    Example:
        >>> title({0: TimeNorms(5, (1e-9, 1e-6, 1e-4, 1e-2, 1.0))})
        "at step 0 the first step of 5 receives 1e-09 of the last one's gradient"
    """
    step = min(profiles)
    norms = profiles[step]
    found = time_profile(norms.norms)
    if found.label == "unknown":
        return f"at step {step} no finite gradient arrives"
    return f"at step {step} {found.of_all(norms.steps).evidence}"


def draw_time_lines(axes: Axes, profiles: OfLayer, factor: float | None = None) -> None:
    """Draws the norm by time step, one line per measured step, early ones dark; theory's slope is dashed."""
    steps, colors = sorted(profiles), step_colors(profiles)
    longest = max(norms.steps for norms in profiles.values())
    axes.set(yscale="log", xlabel=TIME, ylabel=NORM)
    for step in spaced(steps, FEW):
        norms, width = profiles[step], 2 if step in (steps[0], steps[-1]) else 0.9
        looks: dict[str, Any] = {"color": colors[step], "linewidth": width, "label": f"step {step}"}
        axes.plot(norms.places_among(longest), heights(norms.norms), **looks)
    first = profiles[steps[0]]
    if expected := first.expected(factor):
        looks = {"color": THEORY, "linestyle": "--", "linewidth": 1.4, "label": f"theory: {factor:.3g} per step"}
        axes.plot(first.places_among(longest), heights(expected), **looks)
    log_axis(axes.yaxis)
    style(axes)
    axes.legend(frameon=False, fontsize=8)


def draw_time_map(axes: Axes, profiles: OfLayer) -> None:
    """Draws the norm by time step (upwards) and measured step (to the right), all columns of one width."""
    steps = sorted(profiles)
    longest = max(norms.steps for norms in profiles.values())
    columns = [[math.log10(height) for height in reversed(heights(profiles[step].norms))] for step in steps]
    rows = list(zip_longest(*columns, fillvalue=math.nan))[::-1]  # shorter sequences end where the others end
    draw_powers(axes, rows, steps, NAMED, (-0.5, len(steps) - 0.5, -0.5, longest - 0.5))
    axes.set(xlabel="training step", ylabel=TIME)
