"""The gradient of recurrent layers by time step, of one run: lines, and a heat map over the training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from gradvitals.diagnosis.time_profile import TimeNorms, time_profile
from gradvitals.formatting import number as shown
from gradvitals.report.pages.figures import SIDE_LEGEND, Trace, drawing, scatter, value_axis
from gradvitals.report.pages.heat_maps import heat_map, logarithm
from gradvitals.report.pages.page import Drawing, Html, figure, join, row, section
from gradvitals.report.steps import spaced
from gradvitals.results.record import Record

TIME_AXIS, NORM_AXIS = "time step", "‖dL/dx‖ at the step"
LINES = 8
OfLayer = Mapping[int, TimeNorms]  # measured step -> norms by time step
HOW_TO_READ = (
    "The gradient of the loss with respect to the layer's input, over the batch. Where the loss reads only the last "
    "step, a line that falls toward the first step vanishes, and one that rises there explodes."
)


def through_time(record: Record) -> Html | None:
    """Returns the section of the recurrent layers; None where there is none."""
    layers = record.vitals.get("through_time") or []
    parts = [_layer(layer) for layer in layers if layer.get("measured")]
    return section("Gradient through time", join(parts)) if parts else None


def _layer(layer: Mapping[str, Any]) -> Html:
    profiles = {each["step"]: TimeNorms(each["steps"], each["norms"]) for each in layer["measured"]}
    first, factor = profiles[min(profiles)], layer.get("factor_predicted")
    found = time_profile(first.norms).of_all(first.steps)
    expected = f" Theory expects a factor of {shown(factor, 3)} per time step." if factor else ""
    caption = f"At step {min(profiles)}, {found.evidence}.{expected} {HOW_TO_READ}"
    drawn = [figure(time_lines(profiles, factor), f"dL/dx of {layer['layer']} by time step", caption)]
    if len(profiles) > 1:
        drawn.append(figure(time_map(profiles), f"dL/dx of {layer['layer']} by time step and training step"))
    return row(drawn)


def time_lines(profiles: OfLayer, factor: float | None = None) -> Drawing:
    """Returns a figure with a line over the time steps for each of some measured steps, and theory's as a dotted one.

    Example:
        >>> made = time_lines({0: TimeNorms(3, (0.25, 0.5, 1.0))}, factor=0.5)
        >>> [trace["y"] for trace in made["data"]]
        [[0.25, 0.5, 1.0], [0.25, 0.5, 1.0]]
    """
    steps = sorted(profiles)
    named = spaced(steps, LINES)
    longest = max(norms.steps for norms in profiles.values())
    traces = [_line(step, profiles[step], longest, place / max(len(named) - 1, 1)) for place, step in enumerate(named)]
    first = profiles[steps[0]]
    if expected := first.expected(factor):
        looks: Trace = {"line": {"width": 1.6, "dash": "dot"}, "meta": {"color": 6}}
        places = first.places_among(longest)
        traces.append(_trace("theory, 0", places, expected, "predicted by theory: %{y:.3g}", looks))
    legend = {"title": {"text": "step"}} | SIDE_LEGEND
    return drawing(traces, {"title": TIME_AXIS}, value_axis(NORM_AXIS, True), legend=legend)


def time_map(profiles: OfLayer) -> Drawing:
    """Returns a map of the norm, as powers of ten, by time step and measured step, all columns of one width.

    Example:
        >>> time_map({0: TimeNorms(2, (0.1, 1.0)), 50: TimeNorms(2, (0.0, 10.0))})["data"][0]["z"]
        [[-1.0, None], [0.0, 1.0]]
    """
    steps = sorted(profiles)
    longest = max(profiles.values(), key=lambda norms: len(norms.norms))
    columns = [map(logarithm, reversed(profiles[step].norms)) for step in steps]
    rows = list(zip_longest(*columns))[::-1]  # shorter sequences end where the others end
    trace = heat_map(
        [str(step) for step in steps],
        longest.places,
        [list(values) for values in rows],
        "log₁₀ ‖dL/dx‖",
        colorscale="Viridis",
        hovertemplate="time step %{y}, step %{x}<br>‖dL/dx‖ = 10<sup>%{z:.2f}</sup><extra></extra>",
    )
    x = {"title": "measured step", "type": "category", "showgrid": False}
    return drawing([trace], x, {"title": TIME_AXIS, "showgrid": False}, showlegend=False, meta={"gaps": True})


def _line(step: int, norms: TimeNorms, longest: int, shade: float) -> Trace:
    looks: Trace = {"line": {"width": 2.2 if shade in (0, 1) else 1.2}, "meta": {"shade": round(shade, 3)}}
    hover = f"time step %{{x}}<br>step {step}: %{{y:.3g}}"
    return _trace(str(step), norms.places_among(longest), norms.norms, hover, looks)


def _trace(name: str, x: Sequence[int], y: Sequence[float], hover: str, looks: Trace) -> Trace:
    return scatter(name, x, [value if value > 0 else None for value in y], hover, mode="lines", **looks)
