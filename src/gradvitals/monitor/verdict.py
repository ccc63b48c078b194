"""From measured steps to a verdict, and when a run is hopeless."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

from gradvitals.diagnosis.diagnose import Diagnosis, Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.learning import learned, patience
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.vitals.layers import outputs_of

AT_ONCE = ("non_finite", "bad_data", "poor_init")  # no further step can help


class OnlineDiagnosis:
    """The diagnosis of one fit.

    Args:
        chance: the loss of the best constant output; None: the entropy of the labels seen, or else the first loss.
    """

    def __init__(self, limits: Mapping[str, float] | None = None, chance: float | None = None) -> None:
        self._run = Examination(limits=Thresholds.of(limits))
        self._chance = chance
        self._began = time.perf_counter()

    @property
    def diagnosis(self) -> Diagnosis:
        return self._run.diagnosis

    def take(
        self, measurement: Measurement, data: BatchStatistics, loop: TrainingLoop, predicted: float | None
    ) -> None:
        """Judges a measured step.

        Args:
            predicted: decades of dL/dh between last and first layer, by theory.
        """
        self._run.history.subject = self._subject(measurement, data, loop, predicted)
        losses = measurement.losses if measurement.diverged is None else [*measurement.losses, math.inf]
        clip = measurement.total("clip/coefficient")
        self._run.take(Observation.of(measurement.step, losses, measurement.by_layer, clip, measurement.symmetric))

    def take_last(self, step: int, losses: list[float]) -> None:
        if losses:
            self._run.take(Observation.of(step, losses, {}))

    def _subject(
        self, measurement: Measurement, data: BatchStatistics, loop: TrainingLoop, predicted: float | None
    ) -> Subject:
        known = self._run.history.subject
        several = len(loop.optimizers) > 1  # losses of players do not fall
        first = next(iter(measurement.losses), math.nan)
        chance = self._chance if self._chance is not None else known.chance or data.chance(first)
        return Subject(
            layers=[layer.name for layer in measurement.layers],
            chance=math.nan if several else chance,
            planned_steps=known.planned_steps or loop.planned_steps,
            predicted_decades=predicted,
            features=data.features,
            faults=data.faults(outputs_of(measurement.layers)),
        )

    def is_hopeless(self) -> bool:
        """Whether a verdict has lasted as long again as it took to reach it, or no further step can help."""
        found, history = self.diagnosis, self._run.history
        if found.step is None:
            return False
        if found.verdict in AT_ONCE:
            return True
        waited = history.latest.step - found.step
        return (
            waited >= patience(history, self._run.limits)
            and learned(history, self._run.limits) < self._run.limits.learns
        )

    def seconds_left(self, steps: int) -> float | None:
        """Returns how long the rest of the fit would take at the pace of the steps so far; None: its end is unknown."""
        planned = self._run.history.subject.planned_steps
        spent = time.perf_counter() - self._began
        return None if planned is None or not steps else spent / steps * max(planned - steps, 0)

    def state_dict(self) -> dict[str, Any]:
        return self._run.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._run.load_state_dict(state)
