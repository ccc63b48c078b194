"""Whether a net learns, which is decided by its loss alone."""

from __future__ import annotations

import math

from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds


def learned(history: History, limits: Thresholds) -> float:
    """Returns by which share the loss is below that of a constant output: 0 nothing is learned, 1 everything.

    Example:
        >>> from gradvitals.diagnosis.history import Observation, Subject
        >>> run = History(Subject(chance=2.0), [Observation(0, 30, loss=1.5)])
        >>> learned(run, Thresholds())
        0.25
    """
    loss, chance = history.recent_loss(limits.window), history.chance
    return 1 - loss / chance if chance > 0 and math.isfinite(loss) else math.nan


def patience(history: History, limits: Thresholds) -> float:
    """Returns after how many steps a net can be judged not to learn."""
    return max(limits.patience, limits.patience_share * (history.subject.planned_steps or 0))


def hardly_learns(history: History, limits: Thresholds) -> bool:
    """Returns whether a net has learned too little to recover from a verdict after three times the patience."""
    late = history.latest.step >= 3 * patience(history, limits)
    return late and learned(history, limits) < limits.recovered


def does_not_learn(history: History, limits: Thresholds) -> bool:
    """Returns whether the loss is still that of a constant output when the patience is over."""
    return history.latest.step >= patience(history, limits) and learned(history, limits) < limits.learns
