"""What was measured in one run, a section for each kind; one line where something was not measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from operator import mul
from typing import Any, NamedTuple

from gradvitals.diagnosis.profile import last_norm
from gradvitals.formatting import number
from gradvitals.report.pages.figures import HOW_TO_READ, Line, by_layer_lines, curves, gradient_lines
from gradvitals.report.pages.heat_maps import by_layer_and_step
from gradvitals.report.pages.page import Html, details, figure, join, note, row, section, table
from gradvitals.results.curves import ByLayer, Curves, by_layer
from gradvitals.results.record import Record
from gradvitals.results.result import borrowed_test, without_memory

GRADIENT = "activation_grad_norm"


class Kind(NamedTuple):
    """How a kind of number by layer is drawn."""

    title: str
    axis: str
    log: bool
    reading: str


KINDS = {
    "activation_std": Kind("Activation std", "standard deviation", True, "Level is good: the signal keeps its size."),
    "activation_mean": Kind(
        "Activation mean", "mean", False, "Near 0 is good: far from it, the weights of the next layer move together."
    ),
    "update_ratio": Kind(
        "Update-to-weight ratio", "‖ΔW‖ / ‖W‖", True, "About 10⁻³ is usual; at 10⁻⁶ a layer learns nothing."
    ),
    "grad_norm": Kind("Weight gradient", "‖dL/dW‖", True, "Before clipping. It shrinks with the loss."),
    "saturated_fraction": Kind(
        "Saturated outputs", "share of outputs", False, "Outputs at which the activation's slope is almost zero."
    ),
    "dead_fraction": Kind("Dead units", "share of units", False, "Units that returned 0 for at least 1,000 samples."),
}
WANTED = (  # the tags that a page shows
    "train/",
    "val/",
    f"{GRADIENT}/",
    "clip/",
    "grad_norm_clipped/total",
    *(f"{kind}/" for kind in KINDS),
)
NONE_ANYWHERE = ("saturated_fraction", "dead_fraction")  # a sentence where they are 0 in every layer, no figure
IN_TABLE = {  # the columns of a layer's numbers
    GRADIENT: "dL/dh",
    "grad_norm": "dL/dW",
    "update_ratio": "update/W",
    "dead_fraction": "dead",
    "saturated_fraction": "saturated",
}
NAMES = {"loss": "Loss", "acc": "Accuracy", "r2": "R²"}
COEFFICIENT = (
    "coefficient: norm after clipping over norm before; fraction: share of the measured steps that were clipped."
)
SIZE = "The size at every measured step, which shrinks with the loss in all layers alike."
NO_FILES = "There are no curves: no logger of this run wrote files (logger=none)."
NOT_MONITORED = "Not measured: the gradients were not monitored (monitor=off), or the run ended before its first step."


def metrics(record: Record, curves_of: Curves) -> Html:
    """Returns curves of training and validation, and the best and the final value of each metric."""
    names = {tag.partition("/")[2] for tag in curves_of if tag.startswith(("train/", "val/"))}
    drawn = [
        figure(curves(lines, NAMES.get(name, name).lower()), NAMES.get(name, name))
        for name in sorted(names, key=lambda name: (name != "loss", name))
        if (lines := _lines(curves_of, name))
    ]
    found = sorted(record.result.metrics.items())
    rows = [[name, _or_not_finite(values.best), _or_not_finite(values.final)] for name, values in found]
    last = table(["metric", "best", "final"], rows) if rows else note("No metric was logged.")
    borrowed = borrowed_test(record.result.tested_on)
    notes = [note(f"test/ is of {borrowed}.")] if borrowed else []
    if beside := without_memory(record.result.baseline):
        notes.append(note(f"{beside[0].upper()}{beside[1:]}."))
    return section("Curves", row(drawn) if drawn else note(NO_FILES), last, *notes)


def _or_not_finite(value: float | None) -> float | str:
    """JSON has no number for what is not finite, so ``result.json`` contains null."""
    return "not finite" if value is None else value


def _lines(curves_of: Curves, name: str) -> list[Line]:
    known = ((i, kind, curves_of.get(f"{kind}/{name}", [])) for i, kind in enumerate(("train", "val")))
    return [Line(kind, points, i) for i, kind, points in known if len(points) > 1]


def gradients(record: Record, curves_of: Curves) -> Html:
    """Returns dL/dh by layer at several steps, and at all of them."""
    found = measured(record, curves_of, GRADIENT)
    if not found.layers:
        return section("Gradient by layer", note(NOT_MONITORED))
    lines = gradient_lines(found, _predicted(record, found))
    drawn = [figure(lines, "dL/dh by layer", HOW_TO_READ)]
    if len(found.steps) > 1:
        caption = f"{SIZE} {_sizes(found)} Grey: zero, or not measured."
        drawn.append(figure(by_layer_and_step([found]), "dL/dh by layer and step", caption))
    return section("Gradient by layer", row(drawn))


def measured(record: Record, curves_of: Curves, kind: str) -> ByLayer:
    """Returns a kind of number by layer: its curves, or else what ``vitals.json`` has of both ends."""
    found = by_layer(curves_of, kind)
    return found if found.layers else _start_and_end(record, kind)


def _start_and_end(record: Record, kind: str) -> ByLayer:
    layers = record.vitals.get("layers") or []
    measured_at = record.vitals.get("measured") or {"start": 0}  # files of earlier versions do not say when
    steps = {measured_at.get(end): end for end in ("end", "start")}  # one of them where only one step was measured
    rows = {step: [(layer.get(kind) or {}).get(end) for layer in layers] for step, end in steps.items()}
    known = sorted((step, row) for step, row in rows.items() if step is not None and any(v is not None for v in row))
    labels = [f"{i}.{layer.get('name', '')}" for i, layer in enumerate(layers)] if known else []
    return ByLayer(labels, [step for step, _ in known], [row for _, row in known])


def _predicted(record: Record, found: ByLayer) -> list[float]:
    """The last layer's gradient on its way to the input, as theory has it; empty where theory does not apply."""
    layers = (record.vitals.get("preflight") or {}).get("layers") or []
    gains = [layer.get("gain_predicted") for layer in layers[:-1]]
    if len(layers) != len(found.layers) or not found.values[0][-1] or not gains or None in gains:
        return []
    return list(accumulate(reversed(gains), mul, initial=1.0))[::-1]


def _sizes(found: ByLayer) -> str:
    first, last = last_norm(found.values[0]), last_norm(found.values[-1])
    ends = f"{number(first, 2)} at step {found.steps[0]} and {number(last, 2)} at step {found.steps[-1]}"
    return f"The last layer receives {ends}." if math.isfinite(first) else ""


def clipping(record: Record, curves_of: Curves) -> Html:
    """Returns the effect of clipping over steps."""
    effect = sorted(name for name in curves_of if name.startswith(("clip/coefficient", "clip/fraction")))
    if not effect:
        share = record.result.clipped_fraction
        says = "Nothing was clipped." if share is None else f"Clipping changed {share:.0%} of the measured steps."
        return section("Clipping", note(says))
    shares = [Line(name.removeprefix("clip/"), curves_of[name], i, i) for i, name in enumerate(effect)]
    ends = (("before", "grad_norm/total"), ("after", "grad_norm_clipped/total"))
    norms = [Line(name, curves_of[tag], i, i) for i, (name, tag) in enumerate(ends) if tag in curves_of]
    before = figure(curves(norms, "‖gradient‖ of all parameters", log=True), "Norm before and after clipping")
    return section("Clipping", row([before, figure(curves(shares, "share"), "Effect of clipping", COEFFICIENT)]))


def layers(record: Record, curves_of: Curves) -> Html | None:
    """Returns activations and updates by layer at several steps, and a table of the first and the last step."""
    numbers = {kind: measured(record, curves_of, kind) for kind in KINDS}
    found = {kind: known for kind, known in numbers.items() if _any(known, lambda value: value is not None)}
    if not found:
        return None
    absent = [kind for kind in NONE_ANYWHERE if kind in found and not _any(found[kind], bool)]
    drawn = [_by_layer(KINDS[kind], known) for kind, known in found.items() if kind not in absent]
    notes = [note(f"{KINDS[kind].title}: none in any layer at any measured step.") for kind in absent]
    return section("Activations and updates", row(drawn), join(notes), _numbers(record.vitals.get("layers") or []))


def _any(found: ByLayer, test: Callable[[float | None], bool]) -> bool:
    return any(test(value) for values in found.values for value in values)


def _by_layer(kind: Kind, found: ByLayer) -> Html:
    return figure(by_layer_lines(found, kind.axis, log=kind.log), kind.title, kind.reading)


def _numbers(layers: Sequence[Mapping[str, Any]]) -> Html:
    if not layers:
        return Html()
    head = ["layer", "name", "kind", *(f"{name}, {end}" for name in IN_TABLE.values() for end in ("first", "last"))]
    rows = [
        [layer.get("index"), layer.get("name"), layer.get("kind")]
        + [(layer.get(kind) or {}).get(end) for kind in IN_TABLE for end in ("start", "end")]
        for layer in layers
    ]
    return details("Numbers of every layer at the first and the last measured step", table(head, rows, sortable=True))
