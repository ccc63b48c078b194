"""Clipping leaves next to nothing of each gradient, and the weights stand still.

Harmless under an optimizer that rescales (Adam divides by what it was given), deadly under SGD; so the update decides.
"""

from __future__ import annotations

from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.rules.stalled import usual_update
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled",)


def judge(history: History, limits: Thresholds) -> Finding | None:
    """The net does not learn, weights stand still, and without clipping they would not."""
    if history.latest.clip is None or not does_not_learn(history, limits):
        return None
    kept = [moment.clip for moment in history.moments if moment.clip is not None]
    update = usual_update(history)
    coefficient = median(kept)
    if coefficient > limits.clipped or update is None or update >= limits.small_update:
        return None
    evidence = (
        f"clipping leaves {coefficient:.1e} of the gradient; a step moves the weights by {update:.1e} of their size"
    )
    return Finding(
        "overclipped", None, history.latest.step, coefficient, limits.clipped, evidence, "clip.val too small"
    )
