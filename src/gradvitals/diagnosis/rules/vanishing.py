"""The gradient shrinks from layer to layer towards the input, or from time step to time step towards the first.

|dL/dh| changes by a factor chi ** 0.5 per layer (Schoenholz et al., 2017). The gradients of weights may all have one
size while dL/dh vanishes (Glorot & Bengio, 2010, eq. 14). Optimizers that rescale gradients train some of these nets,
so the rule requires that the net does not learn. Over time steps nearly all recurrent nets lose the gradient (Bengio,
Simard & Frasconi, 1994), and a task that needs no memory is learned all the same; there the weights must move, too,
because the last time steps alone give them a gradient of the usual size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, patience
from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.rules.stalled import usual_update
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.time_profile import TimeProfile

STANDS_STILL = 1e-5  # update-to-weight ratio
ADVICE = (
    "Initialize for the activation, nn.init.kaiming_normal_(layer.weight) before nn.ReLU(); replace nn.Sigmoid() by "
    "nn.ELU(); or add shortcuts, x + block(x), or a norm, nn.LayerNorm(width)."
)
ADVICE_THROUGH_TIME = (
    "Draw the recurrent weights orthogonal, nn.init.orthogonal_(rnn.weight_hh_l0), or start from the identity with "
    "nn.RNN(..., nonlinearity='relu'); better, replace nn.RNN by nn.GRU, or by nn.LSTM with a bias of 1 at the forget "
    "gate; and clip by norm: nn.utils.clip_grad_norm_(parameters, 1.0)."
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
    """Finds a gradient that does not reach the first time steps, at the latest two measured steps."""
    profiles = [o.through_time for o in history.observations if o.through_time is not None]
    update = usual_update(history)
    if len(profiles) < 2 or (update is not None and update < limits.small_update):
        return None
    if any(found.label == "unknown" or found.ratio > 10**-limits.decades for found in profiles[-2:]):
        return None
    if _reaches_further(profiles) and history.latest.step < 3 * patience(history, limits):
        return None
    now = profiles[-1]
    decades = math.log10(now.ratio) if now.ratio else -math.inf
    numbers = (history.latest.step, decades, -limits.decades)
    return Finding("vanishing", now.layer, *numbers, now.evidence, "through time", ADVICE_THROUGH_TIME)


def _reaches_further(profiles: Sequence[TimeProfile]) -> bool:
    """Whether the gradient reaches further back than ever before: gates learn that before the loss falls."""
    return profiles[-1].ratio > max((found.ratio for found in profiles[:-1] if found.ratio >= 0), default=math.inf)


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
