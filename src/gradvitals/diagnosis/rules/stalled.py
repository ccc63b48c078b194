"""The weights stand still: an update far below a thousandth of their size (about 1e-3 is usual: Karpathy, CS231n)."""

from __future__ import annotations

from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import does_not_learn, hardly_learns, is_late
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS: tuple[str, ...] = ()


def usual_update(history: History) -> float | None:
    """The median over measured steps of the median layer's update ratio; None where updates are not measured."""
    seen = [moment.update[1][1] for moment in history.moments if moment.update]
    return median(seen) if seen else None


def judge(history: History, limits: Thresholds) -> Finding | None:
    """The median layer moves too little per step, and the net does not learn, or hardly."""
    limit = _limit(history, limits)
    update = usual_update(history) if limit else None
    if update is None or update >= limit:
        return None
    evidence = f"a step moves the weights by {update:.1e} of their size; about 1e-3 is usual"
    return Finding("stalled", None, history.latest.step, update, limit, evidence, "learning rate too small")


def _limit(history: History, limits: Thresholds) -> float:
    """What is too little: less than usual in a net that is late, and soon only what is next to nothing."""
    lost = does_not_learn(history, limits)
    if lost and is_late(history):
        return limits.usual_update
    return limits.small_update if lost or hardly_learns(history, limits) else 0.0
