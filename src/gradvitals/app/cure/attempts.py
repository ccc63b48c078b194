"""Attempts of the cure: what was tried, what it reached, and which is best."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gradvitals.app.cure.trial import Trial
from gradvitals.diagnosis.remedies import Remedy

CLEARLY = 0.05  # of accuracy or r2
SAME_SCORE, SAME_LOSS = 0.02, 0.1  # of accuracy; of the share that is learnt: nearer than this says nothing yet


@dataclass(frozen=True)
class Tried:
    """A remedy and what came of it; ``index`` tells small changes (low) from large ones."""

    index: int
    remedy: Remedy
    trial: Trial

    def __str__(self) -> str:
        return " ".join(self.remedy.overrides)


@dataclass
class Cure:
    """How far a cure has come.

    Attributes:
        overrides: of the sick config.
        sick: its training.
        remedies: that are prescribed, the smallest change first.
        tried: for a short budget, in that order.
        confirmed: at full length, the best first.
        cured: the one that is; None: none is.
        usual_lr: that a range test found.
        range_steps, range_seconds: that it took.
    """

    overrides: list[str]
    sick: Trial
    remedies: list[Remedy] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)
    confirmed: list[Tried] = field(default_factory=list)
    cured: Tried | None = None
    usual_lr: float | None = None
    range_steps: int = 0
    range_seconds: float = 0.0

    @property
    def steps(self) -> dict[str, int]:
        """Steps of each part; a trial that was a full training already is counted once."""
        full = [t.trial.steps for t in self.confirmed if t not in self.tried]
        trials = sum(tried.trial.steps for tried in self.tried)
        return {"sick": self.sick.steps, "range_test": self.range_steps, "trials": trials, "confirmation": sum(full)}

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds of fit of each part."""
        full = [t.trial.seconds for t in self.confirmed if t not in self.tried]
        trials = sum(tried.trial.seconds for tried in self.tried)
        sick, tested = self.sick.seconds, self.range_seconds
        return {"sick": sick, "range_test": tested, "trials": trials, "confirmation": sum(full)}

    @property
    def cost(self) -> float:
        """All steps, in full trainings."""
        return sum(self.steps.values()) / (self.sick.steps_planned or math.nan)


def words(trial: Trial) -> str:
    """What came of a training, in a few words."""
    if trial.status == "failed":
        return f"failed ({trial.reason})"
    risen, share = trial.progress < 0, 100 * abs(trial.progress)
    gone = f", {share:.0f} % of the loss gone" if math.isfinite(share) else ""
    gone = f", the loss up by {share:.0f} %" if gone and risen else gone
    ended = "" if trial.status == "completed" else f", {trial.status}"
    return f"{trial.verdict}{ended}, {_value(trial)}{gone}, {_length(trial)}"


def _value(trial: Trial) -> str:
    return f"best {trial.objective} {trial.best:.3g}" if trial.best is not None else "no metric"


def _length(trial: Trial) -> str:
    return f"{trial.steps} steps, {trial.seconds:.1f} s"


def is_cured(sick: Trial, full: Trial) -> bool:
    """Whether a full training is healthy to its end and clearly better; see the top of this file.

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


def rank(tried: Sequence[Tried]) -> list[Tried]:
    """The most promising first.

    Healthy ones before others. Among them those whose objective is the best or nearly so (an early validation is
    noisy), of these those whose loss is the lowest or nearly so, and of these the smallest change.

    Example:
        >>> def tried(index, score, learnt):
        ...     return Tried(index, Remedy((), "", ""), Trial((), "completed", "healthy", score=score, learnt=learnt))
        >>> scores = [(0.90, 0.3), (0.89, 0.75), (0.91, 0.8), (0.8, 0.9)]
        >>> [found.index for found in rank([tried(i, *both) for i, both in enumerate(scores)])]
        [1, 2, 0, 3]
    """
    left, ranked = list(tried), []
    while left:
        best = _best(left)
        left.remove(best)
        ranked.append(best)
    return ranked


def _best(tried: Sequence[Tried]) -> Tried:
    pool = [t for t in tried if t.trial.is_healthy] or list(tried)
    pool = _near(pool, lambda t: t.trial.score, SAME_SCORE)
    pool = _near(pool, lambda t: t.trial.progress, SAME_LOSS)
    return min(pool, key=lambda t: t.index)


def _near(pool: list[Tried], value: Callable[[Tried], float], margin: float) -> list[Tried]:
    highest = max(map(value, pool))
    return [tried for tried in pool if value(tried) >= highest - margin]
