"""Weight decay that pulls the weights to 0 faster than the loss can move them.

SGD and decoupled decay (Loshchilov & Hutter, 2019) shrink weights by lr * weight_decay in each step. Adam adds the
decay to the gradient and rescales the sum, so what counts there is which of the two is larger.
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "vanishing", "dead_units", "overclipped", "unstable")
PER_STEP = 1e-2  # by which a step shrinks the weights
SHRUNK = 0.75  # share of the weights' norm that is left under such a decay; 1 / 2 is asked of a weaker one
HUGE_RATE = 0.5
PULL = 1.0  # the decay's part of Adam's gradient over that of the loss
ADVICE = "Set weight_decay=0, and raise it only once the net learns: torch.optim.AdamW(parameters, weight_decay=0.01)"


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds weights that decay has shrunk in a net that was healthy at the start and does not learn."""
    known = history.with_state
    if not known or not does_not_learn(history, limits) or not history.started_well:
        return None
    if max((state.rate or 0.0 for _, state in known), default=0.0) >= HUGE_RATE:
        return None  # the decay is large because the learning rate is
    decays = [state.decay or 0.0 for _, state in known]
    (first, before), (latest, now) = known[0], known[-1]
    left = now.weight / before.weight if now.weight is not None and before.weight else None
    largest, steps = max(decays), latest.step - first.step
    if largest >= PER_STEP and (left is None or left <= SHRUNK):
        evidence = f"weight decay shrinks the weights by {largest:.1%} in each step"
        return _finding(latest.step, largest, PER_STEP, evidence, left)
    if left is None or left > 0.5:
        return None
    expected = math.exp(-steps * sum(decays) / len(decays))
    if expected <= math.sqrt(0.5):
        evidence = f"weight decay shrinks the weights to {expected:.0%} in {steps} steps"
        return _finding(latest.step, expected, 0.5, evidence, left)
    if now.pull is not None and now.pull >= PULL:
        evidence = f"weight decay is {now.pull:.1f} times as large as the gradient of the loss"
        return _finding(latest.step, now.pull, PULL, evidence, left)
    return None


def _finding(step: int, value: float, threshold: float, evidence: str, left: float | None) -> Finding:
    evidence += f"; their norm is {left:.0%} of that at the start" if left is not None else ""
    return Finding("weight_decay", None, step, value, threshold, evidence, "weight decay too large", ADVICE)
