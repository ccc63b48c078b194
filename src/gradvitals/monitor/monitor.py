"""The monitor of a fit: what was measured is kept, judged and published."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from typing import Any

from torch import nn

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.diagnosis.metric import Metric
from gradvitals.monitor.collectors.non_finite import warning
from gradvitals.monitor.first_batch import predicted_decades
from gradvitals.monitor.isolation import report
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement, Numbers
from gradvitals.monitor.measurement_history import GRADIENT, MeasurementHistory
from gradvitals.monitor.session import NON_FINITE, PREFLIGHT, PUBLISHING, SESSION, VERDICT, Session
from gradvitals.monitor.settings import Settings
from gradvitals.monitor.time_history import TimeHistory
from gradvitals.monitor.verdict import OnlineDiagnosis
from gradvitals.signal_propagation.reading import Preflight
from gradvitals.vitals import Layer, UnmatchedPattern

log = logging.getLogger(__name__)


class Monitor:
    """Keeps and judges what the :class:`Session` of a fit measures; a subclass publishes it.

    Attributes:
        layers: the layers by depth, known after the first step.
        first, latest: the first and the latest value of each number.
        history: the numbers of every measured step, thinned where there are many.
        through_time: norms of dL/dx at the time steps of each recurrent layer, thinned likewise.
        non_finite: step and place of the first number that was not finite; None: all were finite.
        preflight: what the first batch showed beside what theory expects; None before it, where ``activations`` is off,
            and with several optimizers.
        settings: what is measured and when.
        stopped_it: whether ``auto_stop`` ended the fit.
        seconds_saved: of the fit that ``auto_stop`` ended; None where it did not, or its end was not known.

    Example:
        >>> monitor = Monitor(Settings())
        >>> monitor.measured_steps, monitor.skipped_steps, monitor.diagnosis.verdict
        ((), 0, 'undecided')
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.session: Session | None = None
        self.reset()

    def reset(self) -> None:
        """Forgets what was measured."""
        self.layers: list[Layer] = []
        self.first, self.latest = Numbers(), Numbers()
        self.history = MeasurementHistory()
        self.through_time = TimeHistory()
        self.stopped_it = False
        self.seconds_saved: float | None = None
        self.preflight: Preflight | None = None
        self.non_finite: tuple[int, str] | None = None
        self._verdict = OnlineDiagnosis(self.settings.thresholds, self.settings.chance)
        self._steps = self._clipped_steps = 0
        self._latest_step = 0  # measured
        self._state: dict[str, Any] = {}  # of a session that ended

    @property
    def clipped_fraction(self) -> float | None:
        """Share of measured steps that clipping changed; None where nothing clips."""
        return self._clipped_steps / self._steps if self._steps else None

    @property
    def diagnosis(self) -> Diagnosis:
        """The verdict so far."""
        return self._verdict.run.diagnosis

    @property
    def skipped_steps(self) -> int:
        """Steps that ``on_non_finite`` kept from the weights."""
        return self.session.skipped_steps if self.session else self._state.get("skipped_steps", 0)

    @property
    def profiles(self) -> dict[int, list[float | None]]:
        """Step -> norms of dL/dh by layer, input side first; None where a layer had no gradient."""
        return self.by_layer(GRADIENT)

    def by_layer(self, quantity: str) -> dict[int, list[float | None]]:
        """Returns measured step -> a quantity by layer, input side first; None where it was not measured.

        Args:
            quantity: the first part of a tag, such as ``update_ratio``.
        """
        labels = [layer.label for layer in self.layers]
        steps = self.history.of(quantity) if labels else {}
        return {step: [values.get(label) for label in labels] for step, values in steps.items()}

    @property
    def time_factors(self) -> dict[str, float]:
        """Label of a recurrent layer -> factor per time step of dL/dx that theory expects at the start."""
        readings = self.preflight.through_time if self.preflight else ()
        predicted = {reading.layer: reading.factor_predicted for reading in readings}
        known = ((layer.label, predicted.get(layer.name)) for layer in self.layers)
        return {label: factor for label, factor in known if factor is not None}

    @property
    def losses(self) -> dict[int, float]:
        """Measured step -> mean of the losses since the one before it; nan where none is finite."""
        return {observed.step: observed.loss for observed in self._verdict.run.history.observations if observed.losses}

    @property
    def measured_steps(self) -> tuple[int, ...]:
        """The first and the latest measured step; empty before there is one."""
        return (min(self.history.values), self._latest_step) if self.history.values else ()

    def publish(self, measurement: Measurement, is_first: bool) -> None:
        """Is called with each measurement that is kept, and whether it ``is_first``."""

    def publish_verdict(self, step: int, is_final: bool) -> None:
        """Is called with the ``step`` of each new verdict, and, with ``is_final``, when the fit ends."""

    def begin(self, loop: TrainingLoop, network: nn.Module) -> None:
        """Begins to watch a fit.

        Args:
            loop: the training loop, which says what its optimizers are and when they step.
            network: the module that it trains.

        Raises:
            UnmatchedPattern: a pattern of the settings matches no layer.
        """
        try:
            self.session = Session(self.settings, loop, network, self._take_in, self._state)
        except UnmatchedPattern:
            raise
        except Exception as error:
            log.warning(report(SESSION, error))

    def finish(self) -> None:
        """Judges what came after the last measured step, at the end of a fit that was not broken off."""
        if self.session:
            self.session.isolation.call(SESSION, self._finish, self.session)

    def take_metric(self, metric: Metric, step: int, value: float) -> None:
        """Takes in the value that a logged metric had at a step."""
        self._verdict.take_metric(metric, step, value)

    def _finish(self, session: Session) -> None:
        taken, call = session.loop.optimizer_steps, session.isolation.call
        step, losses = session.late_losses()
        if step is not None:
            call(NON_FINITE, self._warn, step, None)
        call(VERDICT, self._verdict.take_last, taken, losses, session.loop.planned_steps)
        call(PUBLISHING, self.publish_verdict, taken, True)

    def close(self) -> None:
        """Removes the hooks of the fit; what was measured stays."""
        if self.session:
            self.non_finite = self.non_finite or self.session.finding
            self.session.close()
            self._state = self.session.state_dict()
        self.session = None
        self.layers = [layer.alone() for layer in self.layers]

    def _take_in(self, measurement: Measurement) -> None:
        assert self.session is not None
        call = self.session.isolation.call
        self.layers = list(measurement.layers)
        if measurement.clipping_changed is not None:
            self._steps += 1
            self._clipped_steps += measurement.clipping_changed
            measurement.totals["clip/fraction"] = self._clipped_steps / self._steps
        if measurement.diverged is not None:
            call(NON_FINITE, self._warn, measurement.diverged, measurement)
        call(VERDICT, self._judge, measurement)
        if not measurement.totals:
            return
        is_first, by_layer = not self.first.totals, measurement.labelled
        self.first.add(by_layer, measurement.totals, overwrite=False)
        self.latest.add(by_layer, measurement.totals)
        self._latest_step = measurement.step
        self.history.add(measurement.step, by_layer, measurement.totals)
        self.through_time.add(measurement.step, measurement.through_time)
        call(PUBLISHING, self.publish, measurement, is_first)

    def _judge(self, measurement: Measurement) -> None:
        assert self.session is not None
        session, loop, before = self.session, self.session.loop, self.diagnosis.verdict
        call = session.isolation.call
        self._verdict.take(measurement, session, call(PREFLIGHT, self._predicted, measurement))
        if self.diagnosis.verdict != before:
            call(PUBLISHING, self.publish_verdict, measurement.step, False)
        if self.settings.auto_stop and not loop.should_stop and self._verdict.is_hopeless():
            loop.should_stop = self.stopped_it = True
            self.seconds_saved = self._verdict.seconds_left(loop.optimizer_steps)

    def _predicted(self, measurement: Measurement) -> float | None:
        """The decades of dL/dh between last and first layer, by theory."""
        assert self.session is not None
        if self.preflight is None and self.session.first_batch is not None and measurement.totals:
            self.preflight = self.session.first_batch.found(measurement, self.settings.chance)
        return predicted_decades(self.preflight) if self.preflight else None

    def _warn(self, step: int, measurement: Measurement | None) -> None:
        assert self.session is not None
        self.non_finite = self.non_finite or self.session.finding
        if self.non_finite is None:
            is_known = math.isfinite(self.latest.totals.get("grad_norm/total", math.nan))
            known = self.latest.by_layer.get("grad_norm", {}) if is_known else {}
            where, sentence = warning(step, measurement, known, self._latest_step, self.layers)
            self.non_finite = (step, where)
            if self.session.loop.processes.rank == 0:
                log.warning(sentence)

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values and tensors for a checkpoint."""
        return {
            "layers": [asdict(layer.alone()) for layer in self.layers],
            "start": self.first.state_dict(),
            "end": self.latest.state_dict(),
            "moments": self.history.state_dict(),
            "through_time": self.through_time.state_dict(),
            "steps": self._steps,
            "clipped_steps": self._clipped_steps,
            "examination": self._verdict.state_dict(),
            "preflight": asdict(self.preflight) if self.preflight else None,
            "non_finite": self.non_finite or (self.session.finding if self.session else None),
            "latest": self._latest_step,
            "session": self.session.state_dict() if self.session else self._state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a ``state`` that :meth:`state_dict` returned."""
        self.layers = [Layer(**layer) for layer in state["layers"]]
        self.first, self.latest = Numbers(**state["start"]), Numbers(**state["end"])
        self._steps, self._clipped_steps = state["steps"], state["clipped_steps"]
        self._state, self._latest_step = state["session"], state["latest"]
        self.non_finite = tuple(state["non_finite"]) if state["non_finite"] else None
        self.history.load_state_dict(state["moments"])
        self.through_time.load_state_dict(state.get("through_time", {}))
        self._verdict.load_state_dict(state["examination"])
        self.preflight = Preflight.of(state["preflight"]) if state["preflight"] else None
