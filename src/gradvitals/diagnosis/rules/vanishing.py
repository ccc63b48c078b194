"""The gradient shrinks on its way to the input, layer by layer, until the first layers learn nothing.

|dL/dh| falls by a factor chi ** 0.5 per layer (Schoenholz et al., 2017). The sign is in dL/dh: the gradient of weights
may be flat while it vanishes (Glorot & Bengio, 2010, eq. 14). An optimizer that rescales each weight may train the net
nevertheless, so a loss that does not fall decides.
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "dead_units", "saturated", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """A hundredth of the last layer's dL/dh arrives at the first, or a tenth in few steep steps; it does not learn."""
    if not does_not_learn(history, limits):
        return None
    step, predicted = history.latest.step, history.subject.predicted_decades
    if shown := _shown(history, limits):
        decades = math.log10(shown.ratio)
        cause = _cause(decades, predicted)
        return Finding("vanishing", shown.first, step, decades, -limits.decades, shown.evidence, cause)
    if not history.moments[0].gradients.ratio > 0 and predicted is not None and predicted <= -limits.decades:
        words = f"nothing arrives at the first layer, and theory predicts a loss of {-predicted:.1f} decades of dL/dh"
        return Finding("vanishing", 0, step, predicted, -limits.decades, words, "scale of the weights")
    return None


def _shown(history: History, limits: Thresholds) -> Profile | None:
    """A profile that vanishes: the latest two, since one alone may be a passing one, or the first."""
    first, latest = history.moments[0].gradients, history.moments[-2:]
    if all(_vanishes(moment.gradients, limits) for moment in latest):
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
