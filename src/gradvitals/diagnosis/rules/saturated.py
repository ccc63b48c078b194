"""Outputs in the flat regions of sigmoid, tanh and similar activations (Glorot & Bengio, 2010)."""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = (
    "Scale the inputs, initialize by nn.init.xavier_normal_(layer.weight), and put a norm before the activation; or "
    "replace it by nn.ELU()."
)
EXPLAINS = ("stalled", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a layer with mostly saturated outputs in a net that does not learn."""
    latest = history.latest.saturated
    if latest is None or latest[1] < limits.saturated or not does_not_learn(history, limits):
        return None
    layer, share = latest
    evidence = f"{share:.0%} of the outputs of {history.subject.name(layer)} are saturated: the slope there is nearly 0"
    start = history.first.saturated
    cause = "weights or inputs too large" if start and start[1] >= limits.saturated else "saturated during training"
    return Finding("saturated", layer, history.latest.step, share, limits.saturated, evidence, cause, ADVICE)
