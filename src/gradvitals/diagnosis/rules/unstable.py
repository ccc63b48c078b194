"""Steps that are too large, so that the loss rises or fluctuates."""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, hardly_learns, is_seen_to_learn, learned, patience
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = "Lower the learning rate, by ten at a time, or let it rise over the first steps."
EXPLAINS = ("non_finite", "saturated", "dead_units", "stalled", "overclipped", "exploding", "vanishing")
SCATTERS = 3  # standard deviations between batches
EARLY = 10  # measured steps at the beginning
BLOWN = 5.0  # multiple of the weights' size: what was initialized is gone, whatever the loss does afterwards


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds large early steps or a rising loss in a net that was healthy at the start and does not learn.

    Steps of several times the weights' size count wherever the loss functions do not show that the net learns.
    """
    if not history.started_well:
        return None
    waited = history.latest.step >= patience(history, limits)
    if waited and not is_seen_to_learn(history, limits) and (found := _large_steps(history, BLOWN)):
        return found
    is_little = hardly_learns(history, limits) and learned(history, limits) < 2 * limits.learns
    if is_little and (found := _large_steps(history, 2 * limits.large_update)):
        return found
    broken = history.latest.worst == math.inf
    if not (broken or does_not_learn(history, limits)):
        return None
    steps = _large_steps(history, limits.large_update, spared=True)
    return steps or _risen(history, limits) or _relapsed(history, limits)


def _large_steps(history: History, limit: float, spared: bool = False) -> Finding | None:
    """Finds steps of the median layer above a limit.

    Args:
        spared: of two layers, count the smaller step: Adam's first one replaces a narrow head, and a recurrent layer
            before it keeps what it was initialized to.
    """
    updates = [o.update for o in history.observations[:EARLY] if o.update]
    early = [least if spared and middle == most else middle for least, middle, most in updates]
    largest = max(early, key=lambda place: place[1], default=None)
    if largest is None or largest[1] < limit:
        return None
    layer, ratio = largest
    evidence = f"a step changed the weights of {history.subject.name(layer)} by {ratio:.2g} of their size"
    return _finding(history, layer, ratio, limit, evidence)


def _relapsed(history: History, limits: Thresholds) -> Finding | None:
    averaged = [o.loss for o in history.observations if o.losses >= limits.window / 2 and math.isfinite(o.loss)]
    loss, best = history.recent_loss(limits.window), min(averaged, default=math.nan)
    limit = 1 + (limits.risen - 1) / 2
    if not loss > limit * best or not best > 0 or not best < history.chance * (1 - limits.learns):
        return None
    return _finding(history, None, loss / best, limit, f"the loss had fallen to {best:.3g} and is {loss:.3g} again")


def _risen(history: History, limits: Thresholds) -> Finding | None:
    loss, start = history.recent_loss(limits.window), history.first_loss
    chance = history.chance
    if max(chance, start) > 0:
        limit = limits.risen * max(chance, start)
    else:  # below 0 a multiple is no rise
        limit = start + (limits.risen - 1) * max(abs(start), abs(chance))
    if not loss > max(limit, start + SCATTERS * history.scatter):
        return None
    return _finding(history, None, loss, limit, f"the loss has risen from {start:.3g} to {loss:.3g}")


def _finding(history: History, layer: int | None, value: float, threshold: float, evidence: str) -> Finding:
    return Finding(
        "unstable", layer, history.latest.step, value, threshold, evidence, "learning rate too large", ADVICE
    )
