"""A number that is not finite: the loss, an activation or a gradient."""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = (
    "Lower the learning rate, and clip: Trainer(gradient_clip_val=1.0). torch.autograd.set_detect_anomaly(True) names "
    "the operation: often a logarithm, a root or a quotient of 0."
)
EXPLAINS = ("vanishing", "dead_units", "saturated", "stalled", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds an activation, a gradient or a loss since the last observation that is not finite."""
    now, layer = history.latest, None
    if now.broken is not None:
        layer, quantity = now.broken, f"the activation of {history.subject.name(now.broken)}"
    elif now.gradients.label == "non_finite":
        layer, quantity = now.gradients.last, f"the gradient of {history.subject.name(now.gradients.last)}"
    elif now.worst == math.inf:
        quantity = "the loss"
    else:
        return None
    return Finding(
        "non_finite", layer, now.step, math.nan, math.inf, f"{quantity} is not a finite number", advice=ADVICE
    )
