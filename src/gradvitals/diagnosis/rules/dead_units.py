"""Dead units, which return 0 for each of a thousand samples and transmit neither signal nor gradient.

A layer whose units are all dead cuts the net in two: the layers below it are not trained (Lu et al., 2019, "Dying ReLU
and initialization"). For a single sample, half of a ReLU layer at zero is normal.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = (
    "Replace nn.ReLU() by nn.ELU() or nn.LeakyReLU(), set biases to 0, nn.init.zeros_(layer.bias), and lower the "
    "learning rate."
)
EXPLAINS = ("stalled", "saturated")
NEARLY_ALL = 0.95  # share of a layer's units, below which those that died since the start are a symptom
BATCHES = 2  # in which a layer must be silent to count as dead, because some units are rarely active


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a layer that is silent in consecutive batches, or many dead units in a net that does not learn."""
    return _silent(history) or _many(history, limits)


def _silent(history: History) -> Finding | None:
    recent = history.observations[-BATCHES:]
    if len(recent) < BATCHES or any(o.silent is None or o.gradients.ratio > 0 for o in recent):
        return None
    layer = recent[-1].silent
    assert layer is not None
    evidence = f"all outputs of {history.subject.name(layer)} are zero; no layer below it receives a gradient"
    return Finding("dead_units", layer, recent[-1].step, 1.0, 1.0, evidence, _cause(history), ADVICE)


def _many(history: History, limits: Thresholds) -> Finding | None:
    latest = next((o.dead for o in reversed(history.observations) if o.dead is not None), None)
    if latest is None or latest[1] < limits.dead or not does_not_learn(history, limits):
        return None
    layer, share = latest
    start = next(o.dead[1] for o in history.observations if o.dead is not None)
    if start < limits.dead and share < NEARLY_ALL:
        return None
    evidence = f"{share:.0%} of the units of {history.subject.name(layer)} are dead"
    return Finding("dead_units", layer, history.latest.step, share, limits.dead, evidence, _cause(history), ADVICE)


def _cause(history: History) -> str:
    return "dead since initialization" if history.first.silent is not None else "died in training"
