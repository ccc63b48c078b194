"""From measured steps to a verdict, and when a run is hopeless."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gradvitals.diagnosis.diagnose import Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.learning import learned, patience
from gradvitals.diagnosis.metric import Metric
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.witness import Witness
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.session import Session

AT_ONCE = ("non_finite", "poor_init")  # no further step can help


class OnlineDiagnosis:
    """The diagnosis of one fit.

    Args:
        chance: the loss of the best constant output; None: that of the loss functions that are called.

    Attributes:
        run: the examination, with the verdict so far.
    """

    def __init__(self, limits: Mapping[str, float] | None = None, chance: float | None = None) -> None:
        self.run = Examination(limits=Thresholds.of(limits))
        self._chance = chance
        self._grown: set[int] = set()  # layers whose weights began at zero
        self._began = time.perf_counter()

    def take(self, measurement: Measurement, session: Session, predicted: float | None) -> None:
        """Judges a measured step of a session.

        Args:
            measurement: of the step.
            session: that measured it.
            predicted: decades of dL/dh between last and first layer, by theory.
        """
        self.run.history.subject = self._subject(measurement, session, predicted)
        losses = measurement.losses if measurement.diverged is None else [*measurement.losses, math.inf]
        clip = measurement.total("clip/coefficient")
        by_layer = self._without_grown(measurement.by_layer)
        by_label = {layer.label: layer.index for layer in measurement.layers}
        through_time = {by_label[label]: norms for label, norms in measurement.through_time.items()}
        facts = (by_layer, clip, measurement.symmetric, measurement.witness, measurement.state, through_time)
        self.run.take(Observation.of(measurement.step, losses, *facts))

    def _without_grown(self, by_layer: dict[str, list[float | None]]) -> Mapping[str, Sequence[float | None]]:
        """Leaves out the update ratios of layers that began at zero, of which the first steps are any multiple."""
        weights, ratios = by_layer.get("weight_norm", ()), by_layer.get("update_ratio", ())
        if not self.run.history.observations:
            self._grown = {index for index, weight in enumerate(weights) if weight == 0}
        others = [None if index in self._grown else ratio for index, ratio in enumerate(ratios)]
        return by_layer if all(ratio is None for ratio in others) else {**by_layer, "update_ratio": others}

    def take_last(self, step: int, losses: list[float], planned_steps: int | None) -> None:
        """Judges what came after the last measured step, where the training is over."""
        self.run.history.is_final = True
        known = self.run.history.subject  # whose plan is not known where a fit was resumed and measured no step
        self.run.history.subject = replace(known, planned_steps=known.planned_steps or planned_steps)
        if losses or self.run.history.observations:
            self.run.take(Observation.of(step, losses, {}))

    def _subject(self, measurement: Measurement, session: Session, predicted: float | None) -> Subject:
        known, data, loop = self.run.history.subject, session.data, session.loop
        return Subject(
            layers=[layer.name for layer in measurement.layers],
            chance=math.nan if session.has_players else self._chance_of(measurement.witness),
            planned_steps=known.planned_steps or loop.planned_steps,
            predicted_decades=predicted,
            features=data.features,
            targets=known.targets or (measurement.witness.target if measurement.witness else 0.0),
            is_finite=data.is_finite,
            inputs_vary=data.inputs_vary,
            faults=data.faults(),
            head=known.head if measurement.head is None else measurement.head,
            are_classes=measurement.are_classes or known.are_classes,
        )

    def _chance_of(self, witness: Witness | None) -> float | None:
        """The mean loss of the best constant output over the looks so far, where the loss has no other terms."""
        if self._chance is not None:
            return self._chance
        looks = [*self.run.history.looks, *([witness] if witness else [])]
        if not looks or not all(look.is_whole and look.knows_constant for look in looks):
            return None
        chance = sum(look.constant for look in looks) / len(looks)
        return chance if chance > 0 else None

    def state_dict(self) -> dict[str, Any]:
        return {**self.run.state_dict(), "grown": sorted(self._grown)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.run.load_state_dict(state)
        self._grown = set(state.get("grown", ()))

    def is_hopeless(self) -> bool:
        """Whether a verdict has lasted as long again as it took to reach it, or no further step can help."""
        found, history, limits = self.run.diagnosis, self.run.history, self.run.limits
        if not found.findings:  # a net that has learned nothing yet may still begin
            return False
        if found.verdict in AT_ONCE:
            return True
        waited = history.latest.step - (found.step or 0)
        return waited >= patience(history, limits) and learned(history, limits) < limits.learns

    def take_metric(self, metric: Metric, step: int, value: float) -> None:
        """Adds a value of a metric, which the next verdict uses."""
        known = self.run.history.metrics.get(metric.name)
        metric.values = known.values if known else []
        metric.add(step, value)
        self.run.history.metrics[metric.name] = metric

    def seconds_left(self, steps: int) -> float | None:
        """Returns how long the rest of the fit would take at the pace of the steps so far; None: its end is unknown."""
        planned = self.run.history.subject.planned_steps
        spent = time.perf_counter() - self._began
        return None if planned is None or not steps else spent / steps * max(planned - steps, 0)
