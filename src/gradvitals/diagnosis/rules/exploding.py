"""The gradient grows on its way to the input, layer by layer: weights too large, or a norm that makes it grow.

|dL/dh| grows by chi ** 0.5 per layer (Schoenholz et al., 2017); BatchNorm by up to (pi / (pi - 1)) ** 0.5 (Yang et al.,
2019). Activations that grow by the thousandfold per layer overflow before there is a gradient.
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Observation
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("non_finite", "unstable", "saturated", "dead_units", "overclipped", "stalled")
OVERFLOWS = 1e3  # times a layer's activations over the one before


def judge(history: History, limits: Thresholds) -> Finding | None:
    """A hundredfold of the last layer's dL/dh arrives at the first, and the net does not learn or breaks down."""
    broken = history.latest.worst == math.inf or history.latest.broken is not None
    if not (broken or does_not_learn(history, limits)):
        return None
    return _backward(history, limits) or (_forward(history) if broken else None)


def _backward(history: History, limits: Thresholds) -> Finding | None:
    for moment in (history.moments[0], *reversed(history.moments[-2:])):
        ratio = moment.gradients.ratio
        if ratio >= 10**limits.decades:
            decades, words = math.log10(ratio), moment.gradients.evidence
            step = history.latest.step
            return Finding("exploding", moment.gradients.first, step, decades, limits.decades, words, _cause(history))
    return None


def _forward(history: History) -> Finding | None:
    moment = next((m for m in reversed(history.moments) if m.growth and m.growth[1] >= OVERFLOWS), None)
    if moment is None:
        return None
    layer, ratio = moment.growth or (0, 0.0)
    words = f"activations grow {ratio:.1e} times from one layer to {history.subject.name(layer)}"
    return Finding("exploding", layer, moment.step, ratio, OVERFLOWS, words, "an activation that grows without bound")


def _cause(history: History) -> str:
    first: Observation = history.moments[0]
    grown = first.gradients.label != "exploding"
    return "weights grew in training" if grown else "scale of the weights, or normalisation at this depth"
