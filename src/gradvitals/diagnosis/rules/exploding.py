"""The gradient grows from layer to layer towards the input: weights are too large, or a norm makes it grow.

|dL/dh| grows by chi ** 0.5 per layer (Schoenholz et al., 2017); with BatchNorm and ReLU by (pi / (pi - 1)) ** 0.5 (Yang
et al., 2019). Activations that grow a thousandfold per layer overflow before there is a gradient. In a recurrent net it
grows from time step to time step towards the first, if the recurrent weights are large (Pascanu et al., 2013).
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = (
    "Initialize for the activation, nn.init.kaiming_normal_(layer.weight) before nn.ReLU(), and lower the learning "
    "rate; or add shortcuts, x + block(x)."
)
ADVICE_THROUGH_TIME = (
    "Clip by norm, nn.utils.clip_grad_norm_(parameters, 1.0), and draw the recurrent weights orthogonal: "
    "nn.init.orthogonal_(rnn.weight_hh_l0)."
)
EXPLAINS = ("non_finite", "unstable", "saturated", "dead_units", "overclipped", "stalled")
BOUND = "Use an activation that does not grow faster than its input: nn.ELU() or nn.ReLU()."
OVERFLOWS = 1e3  # ratio of a layer's activation std to that of the previous layer


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a gradient that explodes in a net that does not learn, or activations that overflow."""
    broken = history.latest.worst == math.inf or history.latest.broken is not None
    if not (broken or does_not_learn(history, limits)):
        return None
    found = _backward(history, limits) or _through_time(history, limits)
    return found or (_forward(history) if broken else None)


def _backward(history: History, limits: Thresholds) -> Finding | None:
    for observation in (history.first, *reversed(history.observations[-2:])):
        gradients = observation.gradients
        if gradients.ratio >= 10**limits.decades:
            grown = history.first.gradients.label != "exploding"
            cause = "weights grew in training" if grown else "scale of the weights, or normalization at this depth"
            step, decades = history.latest.step, math.log10(gradients.ratio)
            return Finding(
                "exploding", gradients.first, step, decades, limits.decades, gradients.evidence, cause, ADVICE
            )
    return None


def _through_time(history: History, limits: Thresholds) -> Finding | None:
    known = [o.through_time for o in history.observations if o.through_time is not None]
    for found in (*known[:1], *reversed(known[-2:])):
        if found.ratio >= 10**limits.decades:
            decades = math.log10(found.ratio) if found.ratio < math.inf else math.inf
            numbers = (history.latest.step, decades, limits.decades)
            return Finding("exploding", found.layer, *numbers, found.evidence, "through time", ADVICE_THROUGH_TIME)
    return None


def _forward(history: History) -> Finding | None:
    for observation in reversed(history.observations):
        layer, ratio = observation.growth or (0, 0.0)
        if ratio >= OVERFLOWS:
            evidence = (
                f"the activations of {history.subject.name(layer)} are {ratio:.1e} times those of the layer before"
            )
            cause = "an activation that grows without bound"
            return Finding("exploding", layer, observation.step, ratio, OVERFLOWS, evidence, cause, BOUND)
    return None
