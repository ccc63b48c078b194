"""The weights stand still: an update far below a thousandth of their size (about 1e-3 is usual: Karpathy, CS231n)."""

from __future__ import annotations

from statistics import median

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.progress import does_not_learn, hardly_learns
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS: tuple[str, ...] = ()


def usual_update(history: History) -> float | None:
    """The median over measured steps of the median layer's update ratio; None where updates are not measured."""
    seen = [moment.update[1][1] for moment in history.moments if moment.update]
    return median(seen) if seen else None


def judge(history: History, limits: Thresholds) -> Finding | None:
    """The median layer moves by less than a ten-thousandth per step, and the net does not learn, or hardly."""
    update = usual_update(history)
    if update is None or update >= limits.small_update:
        return None
    if not (does_not_learn(history, limits) or hardly_learns(history, limits)):
        return None
    evidence = f"a step moves the weights by {update:.1e} of their size; about 1e-3 is usual"
    return Finding(
        "stalled", None, history.latest.step, update, limits.small_update, evidence, "learning rate too small"
    )
