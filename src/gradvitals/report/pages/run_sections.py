"""What was measured in one run, a section for each kind; one line where something was not measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from gradvitals.report.pages import figures
from gradvitals.report.pages.page import Html, details, figure, join, note, section, table, tag
from gradvitals.results.curves import ByLayer, Curves, by_layer
from gradvitals.results.record import Record

KINDS = {  # what is drawn by layer: title, axis, whether it is logarithmic, how to read it
    "activation_std": (
        "Spread of activations",
        "standard deviation",
        True,
        "Level is good: the signal keeps its size.",
    ),
    "activation_mean": ("Mean of activations", "mean", False, "Far from 0, units of the next layer move together."),
    "update_ratio": ("Update over weight", "‖step‖ / ‖W‖", True, "About 10⁻³ is usual; 10⁻⁶ learns nothing."),
    "grad_norm": ("Gradient of the weights", "‖dL/dW‖", True, "Before clipping."),
    "saturated_fraction": ("Saturated outputs", "share of outputs", False, "Where the slope is next to nothing."),
    "dead_fraction": ("Dead units", "share of units", False, "Those that returned 0 for 1,000 samples or more."),
}
WANTED = (  # tags that a page shows
    "train/",
    "val/",
    "activation_grad_norm/",
    "clip/",
    "grad_norm_clipped/total",
    *(f"{kind}/" for kind in KINDS),
)
NONE_ANYWHERE = ("saturated_fraction", "dead_fraction")  # 0 in each layer is said, not drawn
IN_TABLE = {  # the columns of a layer's numbers
    "activation_grad_norm": "dL/dh",
    "grad_norm": "dL/dW",
    "update_ratio": "step/W",
    "dead_fraction": "dead",
    "saturated_fraction": "saturated",
}
NAMES = {"loss": "Loss", "acc": "Accuracy", "r2": "R²"}
COEFFICIENT = "coefficient: norm after over before; fraction: share of the measured steps that clipping changed."
NO_FILES = "No curves: this run had no logger that leaves files (logger=none)."
NOT_WATCHED = "Not measured: nothing watched the gradients (monitor=off), or the run ended before its first step."


def metrics(record: Record, curves: Curves) -> Html:
    """Curves of training and validation, and each metric's best and final value."""
    names = {tag_.partition("/")[2] for tag_ in curves if tag_.startswith(("train/", "val/"))}
    drawn = [
        figure(figures.curves(lines, NAMES.get(name, name).lower()), NAMES.get(name, name))
        for name in sorted(names, key=lambda name: (name != "loss", name))
        if (lines := _lines(curves, name))
    ]
    found = sorted(record.result.metrics.items())
    rows = [[name, _or_not_finite(values.best), _or_not_finite(values.final)] for name, values in found]
    last = table(["metric", "best", "final"], rows) if rows else note("No metric was logged.")
    return section("Curves", _row(drawn) if drawn else note(NO_FILES), last)


def _or_not_finite(value: float | None) -> float | str:
    """What ``result.json`` has no number for."""
    return "not finite" if value is None else value


def _lines(curves: Curves, name: str) -> list[figures.Line]:
    known = ((i, kind, curves.get(f"{kind}/{name}", [])) for i, kind in enumerate(("train", "val")))
    return [figures.Line(kind, points, i) for i, kind, points in known if len(points) > 1]


def _row(drawn: Sequence[Html]) -> Html:
    return tag("div", *drawn, class_="row")


def gradients(record: Record, curves: Curves) -> Html:
    """dL/dh by layer at several steps, and at all of them."""
    found = measured(record, curves, "activation_grad_norm")
    if not found.layers:
        return section("Gradient by layer", note(NOT_WATCHED))
    lines = figures.by_layer_lines(found, figures.GRADIENT_AXIS, predicted=predicted(record, found))
    drawn = [figure(lines, "dL/dh by layer", "Level is good; a slope to the left vanishes, one to the right explodes.")]
    if len(found.steps) > 1:
        heat = figures.heat_maps([found])
        drawn.append(figure(heat, "dL/dh by layer and step", "Every measured step. Grey: zero, or not measured."))
    return section("Gradient by layer", _row(drawn))


def measured(record: Record, curves: Curves, kind: str) -> ByLayer:
    """A kind of number by layer: its curves, or the first and last measured step that ``vitals.json`` keeps."""
    found = by_layer(curves, kind)
    return found if found.layers else _start_and_end(record, kind)


def _start_and_end(record: Record, kind: str) -> ByLayer:
    layers = record.vitals.get("layers") or []
    rows = [[(layer.get(kind) or {}).get(moment) for layer in layers] for moment in ("start", "end")]
    steps = 0, max(record.result.steps or 0, 1)
    known = [(step, row) for step, row in zip(steps, rows, strict=True) if any(value is not None for value in row)]
    labels = [f"{i}.{layer.get('name', '')}" for i, layer in enumerate(layers)] if known else []
    return ByLayer(labels, [step for step, _ in known], [row for _, row in known])


def predicted(record: Record, found: ByLayer) -> list[float]:
    """What theory makes of the last layer's gradient on its way to the input; empty where it has no say."""
    layers = (record.vitals.get("preflight") or {}).get("layers") or []
    gains = [layer.get("gain_predicted") for layer in layers[:-1]]
    last = found.values[0][-1]
    if len(layers) != len(found.layers) or not last or not gains or None in gains:
        return []
    return list(accumulate(reversed(gains), lambda size, gain: size * gain, initial=last))[::-1]


def clipping(record: Record, curves: Curves) -> Html:
    """What clipping did, over steps."""
    effect = sorted(name for name in curves if name.startswith(("clip/coefficient", "clip/fraction")))
    if not effect:
        share = record.result.clipped_fraction
        says = "Nothing was clipped." if share is None else f"Clipping changed {share:.0%} of the measured steps."
        return section("Clipping", note(says))
    shares = [figures.Line(name.removeprefix("clip/"), curves[name], i, i) for i, name in enumerate(effect)]
    ends = (("before", "grad_norm/total"), ("after", "grad_norm_clipped/total"))
    norms = [figures.Line(name, curves[tag_], i, i) for i, (name, tag_) in enumerate(ends) if tag_ in curves]
    before = figures.curves(norms, "‖gradient‖ of all parameters", log=True)
    return section(
        "Clipping",
        _row([figure(before, "Norm before and after"), figure(figures.curves(shares, "share"), "Effect", COEFFICIENT)]),
    )


def layers(record: Record, curves: Curves) -> Html | None:
    """Activations and updates by layer at several steps, and the numbers of the first and the last one."""
    found = {kind: measured(record, curves, kind) for kind in KINDS}
    found = {kind: numbers for kind, numbers in found.items() if _any(numbers, lambda value: value is not None)}
    if not found:
        return None
    silent = [kind for kind in NONE_ANYWHERE if kind in found and not _any(found[kind], bool)]
    drawn = [_by_layer(kind, numbers) for kind, numbers in found.items() if kind not in silent]
    absent = [note(f"{KINDS[kind][0]}: none in any layer at any measured step.") for kind in silent]
    return section("Activations and updates", _row(drawn), join(absent), _numbers(record.vitals.get("layers") or []))


def _any(found: ByLayer, test: Any) -> bool:
    return any(test(value) for row in found.values for value in row)


def _by_layer(kind: str, found: ByLayer) -> Html:
    title, axis, log, reading = KINDS[kind]
    return figure(figures.by_layer_lines(found, axis, log=log), title, reading)


def _numbers(layers: Sequence[Mapping[str, Any]]) -> Html:
    if not layers:
        return Html()
    head = ["layer", "name", "kind", *(f"{name}, {end}" for name in IN_TABLE.values() for end in ("first", "last"))]
    rows = [
        [layer.get("index"), layer.get("name"), layer.get("kind")]
        + [(layer.get(kind) or {}).get(end) for kind in IN_TABLE for end in ("start", "end")]
        for layer in layers
    ]
    return details("Every layer's numbers at the first and the last measured step", table(head, rows, sortable=True))
