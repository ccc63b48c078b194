"""A net that learns, but too slowly for the steps that are planned.

Never one that has levelled off: the loss must have fallen in the last third of the steps nearly as much as in the third
before.
"""

from __future__ import annotations

import math

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History, Observation
from gradvitals.diagnosis.learning import is_over, learned
from gradvitals.diagnosis.metric import CERTAIN
from gradvitals.diagnosis.rules.stalled import usual_update
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS: tuple[str, ...] = ()
STEADY = 0.6  # fall of the loss in a third of the steps over that in the third before
LARGE = 4.0  # multiple of the usual step: from there on the learning rate is not what makes a net slow
CLEAR, LARGE_AND_CLEAR = 4.0, 6.0  # the same where the fall is so many times the scatter between batches


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds a steady fall of the loss that leaves most of it at the end of the planned steps."""
    share, planned, step = learned(history, limits), history.subject.planned_steps, history.latest.step
    if planned is None or step < 3 * limits.patience or not is_over(history) or not 0 < share < limits.recovered:
        return None
    update, falls = usual_update(history), _falls(history)
    if falls is None or update is None:
        return None
    before, lately, losses = falls
    large = LARGE_AND_CLEAR if lately > CLEAR * history.scatter else LARGE
    certain = 2 * CERTAIN * history.scatter * math.sqrt(2 / losses)
    expected = share + share * (planned - step) / step
    if update >= large * limits.usual_update or lately < max(certain, STEADY * before) or expected >= limits.recovered:
        return None
    return _finding(step, expected, planned, update, limits)


def _finding(step: int, expected: float, planned: int, update: float, limits: Thresholds) -> Finding:
    evidence = (
        f"the loss falls steadily, and at this pace it will be {expected:.0%} below that of a constant output "
        f"after the {planned} planned steps; a step changes the weights by {update:.1e} of their size"
    )
    times = max(limits.usual_update / update, 2)
    advice = f"Raise the learning rate about {times:.2g}-fold, or train about {1 / expected:.2g} times as long."
    return Finding("slow", None, step, expected, limits.recovered, evidence, "learning rate too small", advice)


def _falls(history: History) -> tuple[float, float, int] | None:
    """The fall of the mean loss from the first third of the steps to the second, from there to the last, and how many
    losses that one has."""
    step = history.latest.step
    thirds: list[list[Observation]] = [[], [], []]
    for observation in history.observations:
        if observation.losses and math.isfinite(observation.loss):
            thirds[min(3 * observation.step // (step + 1), 2)].append(observation)
    if not all(thirds):
        return None
    first, second, last = (sum(o.loss * o.losses for o in third) / sum(o.losses for o in third) for third in thirds)
    return (first - second, second - last, sum(o.losses for o in thirds[-1])) if first > second > last else None
