"""When to look for dead units: a thousand consecutive samples, now and then."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch

from gradvitals.distributed.collectives import Collectives
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork
from gradvitals.vitals import DeadUnits
from gradvitals.vitals.hooks import Wrap

SAMPLES = 1000  # a unit that is zero for each of fewer may be seldom used and not dead
REST = 19  # batches without watching for each one with it


class DeadUnitCollector(Collector):
    """Watches as many consecutive batches as contain a thousand samples, then rests for nineteen times as long.

    Where the network is compiled, and measured batches alone run eagerly, only those are watched.
    """

    def __init__(self, network: WatchedNetwork, processes: Collectives, wrap: Wrap) -> None:
        self._network, self._processes, self._wrap = network, processes, wrap
        self._open: DeadUnits | None = None
        self._seen: DeadUnits | None = None
        self._batches = self._rest = 0
        self._needed: int | None = None  # batches that contain enough; None: not known yet
        self._consecutive = True

    def measured_batch_begins(self, batch: Any) -> None:
        self._consecutive = not self._network.is_compiled
        if self._open is not None:
            self._open.resume()
        elif self._rest <= 0:
            self._open = self._units()
            self._batches, self._needed = 0, None

    def _units(self, state: Mapping[int, Any] | None = None) -> DeadUnits:
        units = DeadUnits(self._network.hooked, self._network.activations, self._wrap)
        if state is not None:
            units.load_state_dict(state)
        return units

    def batch_ends(self, outputs: Any, step: int, is_measured: bool) -> None:
        self._rest -= 1
        if self._open is None or not (is_measured or self._consecutive):
            return
        self._batches += 1
        alone = self._processes.total == 1
        if alone and self._batches == 1:
            self._needed = _batches_for(self._open.samples, batches=1)
        if self._needed == 0:  # no activation was called
            self.close()
        elif self._needed and self._batches >= self._needed and (not alone or self._open.samples >= SAMPLES):
            self._seen = self._open
            self.close()
        elif not self._consecutive:
            self._open.pause()

    def close(self) -> None:
        if self._open is not None:
            self._open.pause()
        self._open, self._rest = None, REST * self._batches

    def state_dict(self) -> dict[str, Any]:
        open_, seen = (units.state_dict() if units is not None else None for units in (self._open, self._seen))
        counts = {"batches": self._batches, "rest": self._rest, "needed": self._needed}
        return {"open": open_, "seen": seen, "consecutive": self._consecutive} | counts

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._batches, self._rest, self._needed = state["batches"], state["rest"], state["needed"]
        self._consecutive = state["consecutive"]
        states = state["open"], state["seen"]
        self._open, self._seen = (None if known is None else self._units(known) for known in states)
        if self._seen is not None:
            self._seen.pause()
        if self._open is not None and not self._consecutive:
            self._open.pause()

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        if self._processes.total > 1 and self._open is not None and self._needed is None:
            self._agree(readings, self._open.samples)
        if self._seen is None:
            return
        seen, self._seen = self._seen.peaks, None
        found = {layer: seen[layer.module] for layer in measurement.layers if layer.module in seen}
        if not found:
            return
        sizes = [peak.numel() for peak in found.values()]

        def finish(values: Sequence[float]) -> None:
            for layer, dead, size in zip(found, values, sizes, strict=True):
                measurement.set("dead_fraction", layer, dead / size)

        if self._processes.total == 1:
            readings.add(torch.stack([(peak == 0).sum() for peak in found.values()]), finish)
        else:  # a unit is dead where no process saw it alive
            peaks = torch.cat([peak.flatten() for peak in found.values()])
            readings.add_sums(peaks, lambda values: finish(_zeros(values, sizes)))

    def _agree(self, readings: Readings, samples: int) -> None:
        """All processes must close the window at the same batch, which follows from how many samples they have."""
        batches = self._batches + 1  # the current one is not yet counted

        def finish(values: Sequence[float]) -> None:
            self._needed = _batches_for(values[0], batches)

        readings.add_sums(torch.tensor([samples], dtype=torch.float64), finish)


def _batches_for(samples: float, batches: int) -> int:
    return math.ceil(SAMPLES * batches / samples) if samples else 0


def _zeros(values: Sequence[float], sizes: Sequence[int]) -> list[int]:
    rest = iter(values)
    return [sum(value == 0 for value in islice(rest, size)) for size in sizes]
