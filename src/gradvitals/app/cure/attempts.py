"""What a cure has tried so far, which attempt is the most promising, and what counts as cured."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gradvitals.app.cure.lr_range_test import RangeTest
from gradvitals.app.cure.trial import Trial
from gradvitals.diagnosis.remedies import Remedy

CLEARLY = 0.05  # of accuracy or r2
SAME_SCORE, SAME_PROGRESS = 0.02, 0.1  # smaller differences between short trials are noise


@dataclass(frozen=True)
class Attempt:
    """A remedy and its training; a lower ``index`` is a smaller change of the config."""

    index: int
    remedy: Remedy
    trial: Trial

    def __str__(self) -> str:
        return " ".join(self.remedy.overrides)


@dataclass
class CureState:
    """What a cure knows so far.

    Attributes:
        range_test: of the learning rate, if the verdict calls for one.
        longer: overrides of a run that is long enough for a verdict, where the sick one was undecided.
        remedies: that are prescribed, the smallest change first.
        attempts: of a short budget, in that order.
        confirmed: at full length, the most promising first.
        cured: the confirmed attempt that meets :func:`is_cured`; None: not found yet.
    """

    overrides: list[str]
    sick: Trial
    range_test: RangeTest = field(default_factory=RangeTest)
    longer: list[str] = field(default_factory=list)
    remedies: list[Remedy] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    confirmed: list[Attempt] = field(default_factory=list)
    cured: Attempt | None = None

    @property
    def unconfirmed(self) -> list[Attempt]:
        known = {attempt.index for attempt in self.confirmed}
        return [attempt for attempt in self.attempts if attempt.index not in known]

    @property
    def trainings(self) -> dict[str, list[Trial | RangeTest]]:
        """What each part trained; an attempt whose budget was the full length confirms itself and counts once."""
        return {
            "sick": [self.sick],
            "range_test": [self.range_test],
            "trials": [attempt.trial for attempt in self.attempts],
            "confirmation": [attempt.trial for attempt in self.confirmed if attempt not in self.attempts],
        }

    @property
    def steps(self) -> dict[str, int]:
        return {part: sum(training.steps for training in done) for part, done in self.trainings.items()}

    @property
    def seconds(self) -> dict[str, float]:
        return {part: sum(training.seconds for training in done) for part, done in self.trainings.items()}

    @property
    def cost(self) -> float:
        return sum(self.steps.values()) / (self.sick.steps_planned or math.nan)


def is_cured(sick: Trial, full: Trial) -> bool:
    """Returns whether a training at full length is healthy and its best objective clearly better than the sick run's.

    Clearly better is :data:`CLEARLY` (five points of accuracy or r2); if less than twice that is missing to 1, half of
    what is missing; if lower is better, a tenth.

    Example:
        >>> from gradvitals.results.objective import Objective
        >>> acc = Objective("val/acc", "max")
        >>> sick = Trial((), "stopped", "vanishing", objective=acc, score=0.1)
        >>> is_cured(sick, Trial((), "completed", "healthy", objective=acc, score=0.93))
        True
        >>> is_cured(sick, Trial((), "completed", "healthy", objective=acc, score=0.12))
        False
    """
    if not (full.is_healthy and math.isfinite(full.score)):
        return False
    if not math.isfinite(sick.score) or sick.status == "diverged":
        return True
    if full.objective and full.objective.lower_is_better:
        return full.score - sick.score >= 0.1 * abs(sick.score)
    return full.score - sick.score >= min(CLEARLY, max((1 - sick.score) / 2, 0.0))


def most_promising(attempts: Sequence[Attempt]) -> Attempt:
    """Returns the attempt to train at full length.

    A healthy one, if there is any, or else one that is undecided; of these, one whose score is within
    :data:`SAME_SCORE` of the best, since an early validation is noisy; of these, one whose progress is within
    :data:`SAME_PROGRESS` of the largest; of these, the smallest change.

    Example:
        >>> def attempt(index, score, progress):
        ...     trial = Trial((), "completed", "healthy", score=score, train_progress=progress)
        ...     return Attempt(index, Remedy((), "", ""), trial)
        >>> trials = [(0.90, 0.3), (0.89, 0.75), (0.91, 0.8), (0.8, 0.9)]
        >>> most_promising([attempt(i, *trial) for i, trial in enumerate(trials)]).index
        1
    """
    healthy = [attempt for attempt in attempts if attempt.trial.is_healthy]
    candidates = healthy or [attempt for attempt in attempts if attempt.trial.is_promising] or attempts
    candidates = _near_highest(candidates, lambda attempt: attempt.trial.score, SAME_SCORE)
    candidates = _near_highest(candidates, lambda attempt: attempt.trial.progress, SAME_PROGRESS)
    return min(candidates, key=lambda attempt: attempt.index)


def _near_highest(attempts: Sequence[Attempt], value: Callable[[Attempt], float], margin: float) -> list[Attempt]:
    highest = max(map(value, attempts))
    return [attempt for attempt in attempts if value(attempt) >= highest - margin]
