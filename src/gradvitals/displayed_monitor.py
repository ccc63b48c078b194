"""The monitor as people see it: in loggers, in the log, in a terminal and in a notebook."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

from torch import nn

from gradvitals.loggers.custom_scalars import layout
from gradvitals.loggers.tags import by_block, tagged
from gradvitals.loggers.tensorboard import publish, publish_histograms, publish_layout, publish_text
from gradvitals.monitor.announcer import Announcer
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.monitor import Monitor
from gradvitals.monitor.settings import Settings

log = logging.getLogger(__name__)


class DisplayedMonitor(Monitor):
    """Publishes what a monitor measures and judges, for any training loop; a subclass says when the loop does what.

    Attributes:
        start, end: the first and the latest number of each tag.
        announces: whether process 0 warns of a changed verdict, and says at the end of a fit what it was.
        information: where it says what is no warning.
    """

    information: ClassVar[logging.Logger] = log

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._loggers: list[Any] = []
        self._announcer = Announcer(information=self.information)
        self.announces = True

    @property
    def start(self) -> dict[str, float]:
        return tagged(self.first.by_layer, self.first.totals)

    @property
    def end(self) -> dict[str, float]:
        return tagged(self.latest.by_layer, self.latest.totals)

    def begin(self, loop: TrainingLoop, network: nn.Module) -> None:
        self._announcer = Announcer(self.diagnosis.verdict, self.information)
        super().begin(loop, network)

    def close(self) -> None:
        super().close()
        self._loggers = []

    def publish(self, measurement: Measurement, is_first: bool) -> None:
        loggers, layers = self._loggers, measurement.layers
        by_layer, most = measurement.labelled, self.settings.max_layers or len(layers)
        shown = by_block(by_layer, layers, most) if len(layers) > most else by_layer
        numbers = tagged(shown, measurement.totals)
        if is_first:
            publish_layout(loggers, layout(numbers))
        publish(loggers, numbers, measurement.step)
        publish_histograms(loggers, measurement.histograms, measurement.step)

    def publish_verdict(self, step: int, is_final: bool) -> None:
        found = self.diagnosis
        if is_final and found.severity is not None:
            publish(self._loggers, {"vitals/severity": found.severity}, step)
        publish_text(self._loggers, "vitals/verdict", str(found), step)
        if self.announces and (self.session is None or self.session.loop.processes.rank == 0):
            self._announcer.end(found, self.stopped_it) if is_final else self._announcer.change(found, step)
