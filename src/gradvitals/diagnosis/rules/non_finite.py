"""A number that is not finite: the loss, an activation or a gradient."""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("vanishing", "dead_units", "saturated", "stalled", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """The loss of a step since the last look, an activation or a gradient is not finite."""
    now = history.latest
    layer = now.broken if now.broken is not None else now.gradients.last if _gradient(history) else None
    if layer is None and now.worst != math.inf:
        return None
    where = "the loss" if layer is None else f"the activation of {history.subject.name(layer)}"
    if layer is not None and now.broken is None:
        where = f"the gradient of {history.subject.name(layer)}"
    return Finding("non_finite", layer, now.step, math.nan, math.inf, f"{where} is not a finite number")


def _gradient(history: History) -> bool:
    return history.latest.gradients.label == "non_finite"
