"""Steps so large that the loss rises or jumps about: a learning rate too large."""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("non_finite", "saturated", "dead_units", "stalled", "overclipped", "exploding", "vanishing")
EARLY = 10  # measured steps of the beginning


def judge(history: History, limits: Thresholds) -> Finding | None:
    """The net was healthy at the start, early steps rewrote the weights, and it does not learn or breaks down."""
    if history.moments[0].gradients.label not in ("healthy", "unknown"):
        return None
    broken = history.latest.worst == math.inf
    if not (broken or does_not_learn(history, limits)):
        return None
    return _large_steps(history, limits) or _risen(history, limits) or _relapsed(history, limits)


def _large_steps(history: History, limits: Thresholds) -> Finding | None:
    early = [m.update[1] for m in history.moments[:EARLY] if m.update]
    place = max(early, key=lambda place: place[1], default=None)
    if place is None or place[1] < limits.large_update:
        return None
    layer, ratio = place
    evidence = f"a step moved the weights of {history.subject.name(layer)} by {ratio:.2g} of their size"
    return Finding(
        "unstable", layer, history.latest.step, ratio, limits.large_update, evidence, "learning rate too large"
    )


def _relapsed(history: History, limits: Thresholds) -> Finding | None:
    """It had learnt, and lost it again."""
    averaged = [m.loss for m in history.moments if m.losses >= limits.window / 2 and math.isfinite(m.loss)]
    loss, best = history.recent_loss(limits.window), min(averaged, default=math.nan)
    limit = 1 + (limits.risen - 1) / 2
    if not loss > limit * best or not best < history.chance * (1 - limits.learns):
        return None
    evidence = f"the loss had fallen to {best:.3g} and is {loss:.3g} again"
    return Finding("unstable", None, history.latest.step, loss / best, limit, evidence, "learning rate too large")


def _risen(history: History, limits: Thresholds) -> Finding | None:
    loss, start = history.recent_loss(limits.window), history.first_loss
    limit = limits.risen * max(history.chance, start)
    if not loss > limit:
        return None
    evidence = f"the loss has risen from {start:.3g} to {loss:.3g}"
    return Finding("unstable", None, history.latest.step, loss, limit, evidence, "learning rate too large")
