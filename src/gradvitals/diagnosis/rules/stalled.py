"""The weights hardly change: updates far below a thousandth of their size (about 1e-3 is usual: Karpathy, CS231n)."""

from __future__ import annotations

from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, hardly_learns
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS: tuple[str, ...] = ()


def usual_update(history: History) -> float | None:
    """Returns the median over steps of the median layer's update ratio; None if updates are not measured."""
    ratios = [observation.update[1][1] for observation in history.observations if observation.update]
    return median(ratios) if ratios else None


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds updates that are too small in a net that does not learn, or hardly."""
    limit = _limit(history, limits)
    update = usual_update(history) if limit else None
    if update is None or update >= limit:
        return None
    evidence = f"a step changes the weights by {update:.1e} of their size; about 1e-3 is usual"
    return Finding("stalled", None, history.latest.step, update, limit, evidence, "learning rate too small")


def _limit(history: History, limits: Thresholds) -> float:
    """Returns the ratio below which updates are too small: in the second half of a training, the usual one."""
    stuck, planned = does_not_learn(history, limits), history.subject.planned_steps
    if stuck and planned is not None and history.latest.step >= planned / 2:
        return limits.usual_update
    return limits.small_update if stuck or hardly_learns(history, limits) else 0.0
