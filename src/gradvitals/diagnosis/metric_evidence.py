"""What logged metrics show of learning, where they are better witnesses than the training loss."""

from __future__ import annotations

import math

from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import depends_on_input, improves, is_over, learned
from gradvitals.diagnosis.metric import ENOUGH, LITTLE, Metric
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.thresholds import Thresholds

SAME_UNITS = 2.0  # a validation loss that was never below this multiple of a constant's loss is in other units
EXCELLENT = 0.9  # a share, such as an accuracy, that can hardly improve


def judge_metrics(history: History, limits: Thresholds) -> tuple[str, str] | None:
    """Returns the outcome that metrics show, and why; None: they show nothing that the losses do not show better.

    A metric that the user asked for speaks for and against learning. A validation loss speaks against it where a net
    learns its samples by heart; any other metric speaks for it only, where losses show nothing.

    Example:
        >>> from gradvitals.diagnosis.history import Observation, Subject
        >>> metric = Metric("reward", "max", is_asked=True, values=[(50, 3.0), (100, 9.0), (150, 14.0), (200, 18.0)])
        >>> run = History(Subject(chance=float("nan")), [Observation(200, 1, loss=0.1)], metrics={"reward": metric})
        >>> judge_metrics(run, Thresholds())
        ('healthy', 'reward has improved from 3 to 16')
    """
    metrics, constant = history.metrics.values(), history.subject.chance
    asked = next((m for m in metrics if m.is_asked and m.values), None)
    improved = next((m for m in (asked, *metrics) if m is not None and m.has_improved(constant)), None)
    if asked is not None and improved is asked:
        return HEALTHY, _improvement(asked)
    if improved is None or improved.is_loss:
        loss = next((m for m in metrics if _is_by_heart(m, history, limits)), None)
        if loss is not None:
            is_long_enough = is_over(history) and history.latest.step + 1 >= limits.patience
            is_certain = is_long_enough and not _is_late(loss, history, limits)
            return (NOT_LEARNING if is_certain else UNDECIDED), _by_heart(loss, history, limits)
    if asked is not None:
        return _without_improvement(asked, history, limits)
    if improved is None or improved.is_loss or _losses_can_show(history, limits):
        return None
    return HEALTHY, _improvement(improved)


def _without_improvement(metric: Metric, history: History, limits: Thresholds) -> tuple[str, str] | None:
    can_show, constant = _losses_can_show(history, limits), history.subject.chance
    number = len(metric.values)
    if number < ENOUGH or not is_over(history):
        reason = f"{metric.name} has not certainly improved so far ({number} value{'' if number == 1 else 's'})"
        return None if can_show else (UNDECIDED, reason)
    if metric.is_loss and can_show and constant is not None and metric.is_below(constant):
        return None
    first = f"its first value, {metric.first:.3g} at step {metric.values[0][0]}"
    if metric.mode == "max" and EXCELLENT <= metric.first <= 1:
        return None if can_show else (UNDECIDED, f"{metric.name} could hardly improve on {first}")
    if metric.has_improved(constant, LITTLE):
        return None if can_show else (UNDECIDED, f"{metric.name} has improved by little on {first}")
    if metric.seems_better():
        return None if can_show else (UNDECIDED, f"{_improvement(metric)}, but scatters so much that it may be chance")
    if not can_show:
        return NOT_LEARNING, (
            f"{metric.name} has not improved on {first}: it is {metric.recent:.3g}; "
            "look at the data, at the loss, and at which parameters train"
        )
    if learned(history, limits) >= limits.learns or improves(history, limits):
        return UNDECIDED, f"the training loss falls, but {metric.name} has not improved on {first}"
    return None


def _is_by_heart(metric: Metric, history: History, limits: Thresholds) -> bool:
    """Returns whether the training loss falls while the validation loss was never below that of a constant output."""
    constant = history.subject.chance
    if not metric.is_loss or len(metric.values) < 2 or constant is None or not constant > 0:
        return False
    in_same_units = metric.best < SAME_UNITS * constant
    rises = len(metric.values) >= ENOUGH and metric.recent > metric.first
    falls = learned(history, limits) >= (limits.learns if rises else limits.recovered)
    return in_same_units and not metric.is_below(constant) and falls


def _is_late(metric: Metric, history: History, limits: Thresholds) -> bool:
    """Returns whether the training loss had fallen before the first validation, since which a net may overfit."""
    before = [o for o in history.observations if o.step <= metric.values[0][0]]
    return learned(History(history.subject, before), limits) >= limits.recovered


def _by_heart(metric: Metric, history: History, limits: Thresholds) -> str:
    return (
        f"the training loss falls to {history.recent_loss(limits.window):.3g}, but {metric.name} "
        f"({metric.best:.3g} at best) was never below that of a constant output ({history.chance:.3g}): "
        "what is learned does not hold for other samples (are inputs and labels those of one another?)"
    )


def _improvement(metric: Metric) -> str:
    return f"{metric.name} has improved from {metric.first:.3g} to {metric.recent:.3g}"


def _losses_can_show(history: History, limits: Thresholds) -> bool:
    """Returns whether the losses have a witness: the loss of a constant output, or of outputs exchanged."""
    constant = history.subject.chance
    if constant is not None and math.isnan(constant):
        return False
    seen = any(o.losses for o in history.observations)
    return seen and (constant is not None or depends_on_input(history, limits) is not None)
