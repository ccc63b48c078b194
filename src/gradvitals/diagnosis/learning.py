"""Whether a net learns, in the units of its own loss.

Three witnesses, the best one that is there: the loss function that is called, beside the best constant output and
beside outputs exchanged between samples; a given loss of a constant output; the fall of the loss beside its scatter
between batches.
"""

from __future__ import annotations

import math
from itertools import islice, takewhile
from statistics import fmean

from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.metric import CERTAIN
from gradvitals.diagnosis.thresholds import Thresholds

LITTLE = 0.02  # share of the loss; the outputs of random weights depend on the input, too, and differ between classes
ENOUGH = 3  # looks at the loss calls, before it is said that outputs do not depend on the input
LATEST = 6  # looks at the loss calls


def learned(history: History, limits: Thresholds) -> float:
    """Returns by which share the loss is below that of a constant output: 0 nothing is learned, 1 everything.

    Where that loss is not known, the first loss replaces it; where losses are not positive, the fall is expressed in
    units of the larger of first loss and scatter. nan: unknown.

    Example:
        >>> from gradvitals.diagnosis.history import Observation, Subject
        >>> run = History(Subject(chance=2.0), [Observation(0, 30, loss=1.5)])
        >>> learned(run, Thresholds())
        0.25
    """
    loss, chance = history.recent_loss(limits.window), history.subject.chance
    if chance is not None and math.isnan(chance):
        return math.nan  # several optimizers
    if chance is not None and chance > 0:
        return 1 - loss / chance
    looks = [o.witness for o in history.observations[-50:] if o.witness is not None]
    if looks:
        return fmean(look.learned for look in looks[-LATEST:])
    start = history.start(limits.window)
    if not math.isfinite(start) or not math.isfinite(loss):
        return math.nan
    if start > 0 and loss > 0:
        return 1 - loss / start
    return (start - loss) / max(abs(start), history.scatter, 1e-12)


def patience(history: History, limits: Thresholds) -> float:
    """Returns after how many steps a net can be judged not to learn."""
    return max(limits.patience, limits.patience_share * (history.subject.planned_steps or 0))


def is_over(history: History) -> bool:
    """Returns whether the net has had its time: half of the planned steps; or all of them, where those are unknown."""
    planned = history.subject.planned_steps
    return history.is_final or (planned is not None and history.latest.step >= planned / 2)


def depends_on_input(history: History, limits: Thresholds) -> bool | None:
    """Returns whether the loss rises when outputs are exchanged between samples; None: too few looks.

    The latest looks together decide, or the latest alone, because a net may have begun to learn just then.
    """
    since = patience(history, limits) / 2
    later = takewhile(lambda o: o.step >= since, reversed(history.observations))
    looks = list(islice((o.witness.deviations for o in later if o.witness is not None), LATEST))
    if looks and max(looks[0], sum(looks) / math.sqrt(len(looks))) >= CERTAIN:
        return True
    return False if len(looks) >= ENOUGH else None


def is_falling(history: History) -> bool:
    """Returns whether the loss of the latest observation is certainly below that of the one before."""
    known = [o for o in history.observations[-3:] if o.losses and math.isfinite(o.loss)]
    if len(known) < 2:
        return False
    before, now = known[0], known[-1]
    error = history.scatter * math.sqrt(1 / before.losses + 1 / now.losses)
    return before.loss - now.loss > max(CERTAIN * error, 1e-4 * abs(before.loss))


def improves(history: History, limits: Thresholds) -> bool:
    """Returns whether the net learns, however little: what is certain and not what is large."""
    share = learned(history, limits)
    if not share >= LITTLE:
        return False
    depends = depends_on_input(history, limits)
    return depends if depends is not None else not history.looks and _has_fallen(history, limits)


def is_seen_to_learn(history: History, limits: Thresholds) -> bool:
    """Returns whether the loss functions that are called show that the net learns."""
    return learned(history, limits) >= limits.learns and depends_on_input(history, limits) is True


def _has_fallen(history: History, limits: Thresholds) -> bool:
    start, now, scatter = history.start(limits.window), history.recent_loss(limits.window), history.scatter
    error = scatter * math.sqrt(2 / limits.window)
    return start - now > max(CERTAIN * error, 1e-6 * abs(start))


def hardly_learns(history: History, limits: Thresholds) -> bool:
    """Returns whether a net has learned too little to recover from a verdict after three times the patience."""
    late = history.latest.step >= 3 * patience(history, limits) and not history.metric_improves
    return late and learned(history, limits) < limits.recovered


def does_not_learn(history: History, limits: Thresholds) -> bool:
    """Returns whether the loss is still that of a constant output when the patience is over.

    For three times the patience, a net whose loss has just begun to fall below that is given the time.
    """
    waited, share = history.latest.step / patience(history, limits), learned(history, limits)
    if waited < 1 or not share < limits.learns or history.metric_improves:
        return False
    return waited >= 3 or share <= 0 or not (is_falling(history) or improves(history, limits))
