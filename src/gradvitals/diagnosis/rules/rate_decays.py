"""A learning rate that falls to nothing long before the end, as where a schedule counts steps and expects epochs."""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "overclipped")
SHARE = 1e-3  # of the largest rate
STEPS = 2  # measured steps at the end with such a rate, because cycles pass through it
ADVICE = (
    "Give the schedule the number of steps that it really takes: "
    'T_max=trainer.estimated_stepping_batches with {"scheduler": scheduler, "interval": "step"}'
)


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a rate that has fallen before half of the planned steps, and is low, in a net that does not learn."""
    if not does_not_learn(history, limits):
        return None
    rates = [(o.step, state.rate) for o, state in history.with_state if state.rate is not None]
    peak = max((rate for _, rate in rates), default=0.0)
    low = 0
    while low < len(rates) and rates[-1 - low][1] <= SHARE * peak:
        low += 1
    if low < STEPS or low == len(rates):
        return None
    fell, rate = rates[-low][0], rates[-1][1]
    planned = history.subject.planned_steps
    if planned is not None and fell >= planned / 2:
        return None
    of = f" of {planned}" if planned is not None else ""
    evidence = f"the learning rate fell from {peak:.2g} to {rate:.2g} by step {fell}{of}"
    cause = "the schedule ends long before the training"
    return Finding("rate_decays", None, history.latest.step, rate, SHARE * peak, evidence, cause, ADVICE)
