"""From measured steps to a verdict, and when a run is hopeless."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from lightning import Trainer

from gradvitals.diagnosis.diagnose import Diagnosis, Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.learning import learnt, patience
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.measurement import Measured
from gradvitals.vitals.layers import outputs_of

AT_ONCE = ("non_finite", "bad_data", "poor_init")  # no step more can help


class OnlineDiagnosis:
    """The diagnosis of one fit.

    Args:
        limits: thresholds.
        chance: the loss of the best constant output; None: the entropy of the labels seen, or else the first loss.

    Attributes:
        diagnosis: the verdict so far.
    """

    def __init__(self, limits: Mapping[str, float] | None = None, chance: float | None = None) -> None:
        self._run = Examination(limits=Thresholds.of(limits))
        self._chance = chance
        self._began = time.perf_counter()

    @property
    def diagnosis(self) -> Diagnosis:
        return self._run.diagnosis

    def take(self, measured: Measured, data: BatchStatistics, trainer: Trainer, predicted: float | None) -> None:
        """Take in a measured step."""
        self._run.history.subject = self._subject(measured, data, trainer, predicted)
        labels = [layer.label for layer in measured.layers]
        losses = measured.losses if measured.diverged is None else [*measured.losses, math.inf]
        self._run.take(Observation.of(measured.step, losses, measured.numbers, labels, measured.symmetric))

    def take_last(self, step: int, losses: list[float]) -> None:
        """Take in the losses after the last measured step."""
        if losses:
            self._run.take(Observation.of(step, losses, {}, ()))

    def _subject(self, measured: Measured, data: BatchStatistics, trainer: Trainer, predicted: float | None) -> Subject:
        known = self._run.history.subject
        several = len(trainer.optimizers) > 1  # losses of players do not fall
        first = next(iter(measured.losses), math.nan)
        chance = self._chance if self._chance is not None else known.chance or data.chance(first)
        return Subject(
            layers=[layer.name for layer in measured.layers],
            chance=math.nan if several else chance,
            planned_steps=known.planned_steps or _planned(trainer),
            predicted_decades=predicted,
            features=data.features,
            faults=data.faults(outputs_of(measured.layers)),
        )

    def is_hopeless(self) -> bool:
        """Whether a verdict has stood for as long again as it took to tell, or no step more can help."""
        found, history = self.diagnosis, self._run.history
        if found.step is None:
            return False
        if found.verdict in AT_ONCE:
            return True
        waited = history.latest.step - found.step
        return (
            waited >= patience(history, self._run.limits)
            and learnt(history, self._run.limits) < self._run.limits.learns
        )

    def seconds_left(self, trainer: Trainer) -> float | None:
        """How long the rest of the fit would take at the pace so far; None where its end is not known."""
        planned, done = self._run.history.subject.planned_steps, trainer.global_step
        spent = time.perf_counter() - self._began
        return None if planned is None or not done else spent / done * max(planned - done, 0)

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        return self._run.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._run.load_state_dict(state)


def _planned(trainer: Trainer) -> int | None:
    steps = trainer.estimated_stepping_batches
    return int(steps) if math.isfinite(steps) and steps > 0 else None
