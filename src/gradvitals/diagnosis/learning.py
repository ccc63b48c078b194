"""Does the net learn? A loss says so, and nothing else."""

from __future__ import annotations

import math

from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds


def learnt(history: History, limits: Thresholds) -> float:
    """Share of the loss of a constant output that is gone: 0 nothing is learnt, 1 everything, below 0 it has risen.

    Example:
        >>> from gradvitals.diagnosis.history import Moment, Subject
        >>> run = History(Subject(chance=2.0), [Moment(0, 30, loss=1.5)])
        >>> learnt(run, Thresholds())
        0.25
    """
    loss, chance = history.recent_loss(limits.window), history.chance
    return 1 - loss / chance if chance > 0 and math.isfinite(loss) else math.nan


def patience(history: History, limits: Thresholds) -> float:
    """Steps that a net is given before it can be said not to learn."""
    return max(limits.patience, limits.patience_share * (history.subject.planned_steps or 0))


def hardly_learns(history: History, limits: Thresholds) -> bool:
    """Whether a net had three times its time and is still far from what shows that it has recovered."""
    late = history.latest.step >= 3 * patience(history, limits)
    return late and learnt(history, limits) < limits.recovered


def is_late(history: History) -> bool:
    """Whether half of the planned steps are over."""
    planned = history.subject.planned_steps
    return planned is not None and history.latest.step >= planned / 2


def does_not_learn(history: History, limits: Thresholds) -> bool:
    """Whether a net had its time and its loss is still that of a constant output."""
    share = learnt(history, limits)
    return history.latest.step >= patience(history, limits) and share < limits.learns
