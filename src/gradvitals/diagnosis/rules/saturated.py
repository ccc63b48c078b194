"""Outputs at the flat ends of sigmoid, tanh and their like, where no gradient passes (Glorot & Bengio, 2010)."""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Most of a layer's outputs are saturated, and the net does not learn."""
    found = history.latest.saturated
    if found is None or found[1] < limits.saturated or not does_not_learn(history, limits):
        return None
    layer, share = found
    evidence = f"{share:.0%} of the outputs of {history.subject.name(layer)} are where the slope is next to nothing"
    start = history.moments[0].saturated
    cause = "weights or inputs too large" if start and start[1] >= limits.saturated else "driven there in training"
    return Finding("saturated", layer, history.latest.step, share, limits.saturated, evidence, cause)
