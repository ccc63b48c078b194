"""The weights hardly change: updates far below a thousandth of their size (about 1e-3 is usual: Karpathy, CS231n)."""

from __future__ import annotations

import math
from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, hardly_learns, improves
from gradvitals.diagnosis.thresholds import Thresholds

NOTHING = 1e-12  # update-to-weight ratio
ADVICE = (
    "Raise the learning rate, by ten at a time until the loss falls; torch.optim.Adam(parameters, lr=1e-3) is usual."
)
EXPLAINS: tuple[str, ...] = ()


def usual_update(history: History) -> float | None:
    """Returns the median over steps of the median layer's update ratio; None if updates are not measured."""
    ratios = [observation.update[1][1] for observation in history.observations if observation.update]
    return median(ratios) if ratios else None


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds updates that are too small in a net that does not learn, or hardly."""
    limit = _limit(history, limits)
    players = _stands_still(history)
    update = _largest_update(history) if players else usual_update(history) if limit else None
    if update is None or update >= limit or update < NOTHING:  # where nothing arrives, no rate helps
        return None
    evidence = f"a step changes the weights by {update:.1e} of their size; about 1e-3 is usual"
    return Finding("stalled", None, history.latest.step, update, limit, evidence, "learning rate too small", ADVICE)


def _limit(history: History, limits: Thresholds) -> float:
    """Returns the ratio below which updates are too small: in the second half of a training, the usual one."""
    if _stands_still(history):
        return limits.small_update * 1e-2
    if improves(history, limits) and history.latest.step < 3 * limits.patience:
        return 0.0
    stuck, planned = does_not_learn(history, limits), history.subject.planned_steps
    stuck = stuck and not improves(history, limits)
    if stuck and planned is not None and history.latest.step >= planned / 2:
        return limits.usual_update
    return limits.small_update if stuck or hardly_learns(history, limits) else 0.0


def _largest_update(history: History) -> float | None:
    ratios = [observation.update[2][1] for observation in history.observations if observation.update]
    return median(ratios) if ratios else None


def _stands_still(history: History) -> bool:
    """Whether only the weights can show progress, because several optimizers play against each other."""
    chance = history.subject.chance
    return chance is not None and math.isnan(chance) and history.latest.step >= 50
