"""Targets of a regression so large that the outputs of an initialized net do not come near them."""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.rules import SYMPTOMS
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = (*SYMPTOMS, "slow")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds targets far from unit scale in a net that does not learn."""
    size = history.subject.targets
    broken = history.latest.worst == float("inf")
    if size < limits.unscaled or not (broken or does_not_learn(history, limits)):
        return None
    evidence = f"the targets have a root mean square of {size:.3g}; the outputs of an initialized net are about 1"
    advice = "Scale the targets: y = (y - y.mean()) / y.std(), and undo it on the predictions."
    return Finding(
        "target_scale", None, history.latest.step, size, limits.unscaled, evidence, "targets are not scaled", advice
    )
