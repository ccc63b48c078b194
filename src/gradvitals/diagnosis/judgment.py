"""What is said of a net in which no cause was found: healthy, not learning, or undecided."""

from __future__ import annotations

import math

from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.learning import (
    depends_on_input,
    does_not_learn,
    improves,
    is_falling,
    is_over,
    learned,
    patience,
)
from gradvitals.diagnosis.metric_evidence import judge_metrics
from gradvitals.diagnosis.outcome import HEALTHY, NOT_LEARNING, UNDECIDED
from gradvitals.diagnosis.thresholds import Thresholds

NEARLY_NONE = 0.03  # share of the loss of a constant output
RULED_OUT = (
    "gradients arrive in every layer and the weights move, so look at the data (are inputs and labels still those of "
    "one another?), at the loss, and at which parameters train"
)


def outcome(history: History, limits: Thresholds) -> tuple[str, str]:
    """Returns the outcome of a history without findings, and why.

    Example:
        >>> from gradvitals.diagnosis.history import Observation
        >>> outcome(History(observations=[Observation(9, 10, loss=2.3)]), Thresholds())
        ('undecided', '10 of the 50 steps that a verdict needs')
    """
    share = learned(history, limits)
    taken = history.latest.step + (not history.is_final)  # a measured step has its number from 0
    shown = judge_metrics(history, limits)
    if shown is not None:
        return shown
    if not any(o.losses for o in history.observations):
        return UNDECIDED, "no loss was seen"
    if history.subject.chance is not None and math.isnan(history.subject.chance):
        return UNDECIDED, "several optimizers, whose losses do not show whether the net learns"
    if taken < limits.patience:
        return UNDECIDED, f"{taken} of the {limits.patience} steps that a verdict needs"
    if history.subject.are_classes and not history.looks:
        return UNDECIDED, "all labels seen so far are the same, so that there was nothing to learn"
    depends = depends_on_input(history, limits)
    if depends is not False and (share >= limits.learns or improves(history, limits)):
        return HEALTHY, f"the loss is {share:.0%} below that of a constant output" if share > 0 else ""
    if depends is not False and not does_not_learn(history, limits):
        needed = math.ceil(patience(history, limits))
        return UNDECIDED, f"{taken} of the {needed} steps that a verdict needs"
    loss = history.recent_loss(limits.window)
    if depends is None and history.subject.chance is None:
        what = "the loss has not fallen" if share < limits.learns else "the loss hardly falls"
        return UNDECIDED, f"{what} ({loss:.3g}), and no loss function of torch is called that could show why"
    if is_falling(history) or (depends is not False and share > NEARLY_NONE):
        return UNDECIDED, f"the loss ({loss:.3g}) is near that of a constant output, and may still fall"
    if not is_over(history):
        return UNDECIDED, f"the loss ({loss:.3g}) is still that of a constant output"
    return NOT_LEARNING, _not_learning(history, loss, depends)


def _not_learning(history: History, loss: float, depends: bool | None) -> str:
    beside = f" ({history.chance:.3g})" if history.subject.chance is not None else ""
    if depends is False:
        known = f"the loss, {loss:.3g}, is that of a constant output{beside}, and no higher with outputs exchanged"
    else:
        known = f"the loss, {loss:.3g}, is not below that of a constant output{beside}"
    return f"{known}; {RULED_OUT}"
