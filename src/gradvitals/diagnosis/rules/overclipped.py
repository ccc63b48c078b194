"""Clipping removes almost all of each gradient, and the weights hardly change.

It does not matter for optimizers that rescale gradients, such as Adam, but stops SGD; so the update ratio decides.
"""

from __future__ import annotations

from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.rules.stalled import usual_update
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = "Clip at about the norm that gradients usually have, grad_norm/total, or not at all."
EXPLAINS = ("stalled",)


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds small clip coefficients and small updates in a net that does not learn."""
    if history.latest.clip is None or not does_not_learn(history, limits):
        return None
    update = usual_update(history)
    coefficient = median(observation.clip for observation in history.observations if observation.clip is not None)
    if coefficient > limits.clipped or update is None or update >= limits.small_update:
        return None
    evidence = (
        f"clipping scales the gradient by {coefficient:.1e}; a step changes the weights by {update:.1e} of their size"
    )
    cause, step = "clip.val too small", history.latest.step
    return Finding("overclipped", None, step, coefficient, limits.clipped, evidence, cause, ADVICE)
