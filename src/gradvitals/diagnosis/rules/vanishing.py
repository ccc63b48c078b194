"""The gradient shrinks from layer to layer towards the input, until the first layers learn nothing.

|dL/dh| changes by a factor chi ** 0.5 per layer (Schoenholz et al., 2017). The gradients of weights may all have one
size while dL/dh vanishes (Glorot & Bengio, 2010, eq. 14). Optimizers that rescale gradients train some of these nets,
so the rule requires that the net does not learn. Over the time steps of a recurrent layer it shrinks likewise (Bengio,
Simard & Frasconi, 1994; Pascanu, Mikolov & Bengio, 2013).
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.thresholds import Thresholds

STANDS_STILL = 1e-5  # update-to-weight ratio
ADVICE = (
    "Initialize for the activation, nn.init.kaiming_normal_(layer.weight) before nn.ReLU(); replace nn.Sigmoid() by "
    "nn.ELU(); or add shortcuts, x + block(x), or a norm, nn.LayerNorm(width)."
)
THROUGH_TIME = "through time"
ADVICE_THROUGH_TIME = (
    "Let the state pass unchanged: nn.init.orthogonal_(layer.weight_hh_l0), or nn.init.eye_ before ReLU; a forget bias "
    "of 1 in nn.LSTM; nn.GRU in place of nn.RNN."
)
EXPLAINS = ("stalled", "dead_units", "saturated", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a gradient that vanishes in a net that does not learn."""
    if not does_not_learn(history, limits) or _nothing_moves(history):
        return None
    step, predicted = history.latest.step, history.subject.predicted_decades
    if found := _vanishing_profile(history, limits):
        decades = math.log10(found.ratio)
        cause = _cause(decades, predicted)
        return Finding("vanishing", found.first, step, decades, -limits.decades, found.evidence, cause, ADVICE)
    if not history.first.gradients.ratio > 0 and predicted is not None and predicted <= -limits.decades:
        evidence = (
            f"the first layer receives no gradient, and theory predicts that dL/dh falls by {-predicted:.1f} decades"
        )
        return Finding("vanishing", 0, step, predicted, -limits.decades, evidence, "scale of the weights", ADVICE)
    return _through_time(history, limits)


def _through_time(history: History, limits: Thresholds) -> Finding | None:
    """Finds a gradient that vanishes over time steps, at the latest two observations and at most of all."""
    profiles = [o.through_time for o in history.observations if o.through_time is not None]
    vanish = [profile.ratio <= 10**-limits.decades for profile in profiles]
    if not vanish or not all(vanish[-2:]) or sum(vanish) <= len(vanish) / 2:
        return None
    latest = profiles[-1]
    value = math.log10(latest.ratio) if latest.ratio else -math.inf
    step = history.latest.step
    return Finding(
        "vanishing", latest.layer, step, value, -limits.decades, latest.evidence, THROUGH_TIME, ADVICE_THROUGH_TIME
    )


def _nothing_moves(history: History) -> bool:
    """Whether even the layer that changes most stands still: then the rate is too small, whatever the profile."""
    largest = [o.update[2][1] for o in history.observations if o.update]
    return bool(largest) and 0 < max(largest) < STANDS_STILL


def _vanishing_profile(history: History, limits: Thresholds) -> Profile | None:
    """Returns the latest profile if the latest two vanish, because a single one may be an exception, else the first.

    Where the gradient did not fall at the start, nothing that can be learned made it vanish since: a symptom.
    """
    first, latest = history.first.gradients, history.observations[-2:]
    fell = first.ratio <= 10 ** (-limits.decades / 2) or not first.ratio > 0
    if fell and all(_vanishes(observation.gradients, limits) for observation in latest):
        return latest[-1].gradients
    return first if _vanishes(first, limits) else None


def _vanishes(profile: Profile, limits: Thresholds) -> bool:
    decades = limits.decades / 2 if profile.gain <= limits.weak_gain else limits.decades
    return 0 < profile.ratio <= 10**-decades


def _cause(decades: float, predicted: float | None) -> str:
    if predicted is None:
        return "activation and scale of the weights"
    agrees = predicted < decades / 2
    return f"{'as' if agrees else 'not as'} theory predicts from the weights' scale: {predicted:.1f} decades"
