"""The gradient shrinks on its way to the input, layer by layer, until the first layers learn nothing.

|dL/dh| falls by a factor chi ** 0.5 per layer (Schoenholz et al., 2017). The sign is in dL/dh: the gradient of weights
may be flat while it vanishes (Glorot & Bengio, 2010, eq. 14). An optimizer that rescales each weight may train the net
nevertheless, so a loss that does not fall decides.
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.progress import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "dead_units", "saturated", "overclipped")


def judge(history: History, limits: Thresholds) -> Finding | None:
    """A hundredth or less of the last layer's dL/dh arrives at the first, and the net does not learn."""
    profiles = [moment.gradients for moment in history.moments]
    first, now, predicted = profiles[0], profiles[-1], history.subject.predicted_decades
    born_dead = not first.ratio > 0 and predicted is not None and predicted <= -limits.decades
    before = profiles[-2] if len(profiles) > 1 else now  # one moment alone may be a passing one
    weak = any(0 < max(a.ratio, b.ratio) <= 10**-limits.decades for a, b in ((first, first), (before, now)))
    if not (weak or born_dead) or not does_not_learn(history, limits):
        return None
    shown = now if 0 < now.ratio <= 10**-limits.decades else first
    decades = predicted if born_dead else math.log10(shown.ratio)
    assert decades is not None
    words = f"theory predicts a loss of {-decades:.1f} decades of dL/dh" if born_dead else shown.evidence
    cause = _cause(decades, predicted)
    return Finding("vanishing", shown.first, history.latest.step, decades, -limits.decades, words, cause)


def _cause(decades: float, predicted: float | None) -> str:
    if predicted is None:
        return "activation and scale of the weights"
    agrees = predicted < decades / 2
    return f"{'as' if agrees else 'not as'} theory predicts from the weights' scale: {predicted:.1f} decades"
