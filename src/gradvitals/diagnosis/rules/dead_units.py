"""Units that never return anything but zero pass nothing on, forward or backward.

A layer of which all are dead cuts the net in two: nothing below it is trained any more (Lu et al., 2019, "Dying ReLU
and initialization"). Half of a ReLU layer at zero is normal; a unit is dead when it is zero for each of a thousand
samples.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Place
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("stalled", "saturated")
BATCHES = 2  # in which a layer is silent before it counts as dead: a unit may be seldom used


def judge(history: History, limits: Thresholds) -> Finding | None:
    """A whole layer that is silent, batch after batch; or half of one's units dead while the net does not learn."""
    return _silent(history) or _many(history, limits)


def _silent(history: History) -> Finding | None:
    moments = history.moments[-BATCHES:]
    if len(moments) < BATCHES or any(m.silent is None or m.gradients.ratio > 0 for m in moments):
        return None
    layer = moments[-1].silent
    assert layer is not None
    evidence = f"{history.subject.name(layer)} returned nothing but zero; no layer below it receives a gradient"
    return Finding("dead_units", layer, moments[-1].step, 1.0, 1.0, evidence, _cause(history))


def _many(history: History, limits: Thresholds) -> Finding | None:
    found = latest_dead(history)
    if found is None or found[1] < limits.dead or not does_not_learn(history, limits):
        return None
    layer, share = found
    evidence = f"{share:.0%} of the units of {history.subject.name(layer)} are dead"
    return Finding("dead_units", layer, history.latest.step, share, limits.dead, evidence, _cause(history))


def latest_dead(history: History) -> Place | None:
    """The layer with the most dead units when they were last counted."""
    return next((moment.dead for moment in reversed(history.moments) if moment.dead is not None), None)


def _cause(history: History) -> str:
    born = history.moments[0].silent is not None
    return "dead since initialisation" if born else "died in training"
