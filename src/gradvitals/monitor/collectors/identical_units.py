"""Which layers' units are copies of each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork
from gradvitals.vitals import Layer, are_copies


class IdenticalUnits(Collector):
    """Compares the units of each layer; later steps look only at layers where they were identical before."""

    def __init__(self, network: WatchedNetwork) -> None:
        self._network = network
        self._found: list[Layer] | None = None  # None: not looked at

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        some = measurement.layers if self._found is None else self._found
        several = [layer for layer in some if layer.weights and layer.weights[0].ndim > 1]
        candidates = [layer for layer in several if layer.weights[0].requires_grad]  # fixed filters stay as they are
        found = self._found = []
        if not candidates:
            return

        def finish(values: Sequence[float]) -> None:
            pairs = zip(candidates, values, strict=True)
            found.extend(layer for layer, value in pairs if value > 0.999)  # a sum of shares
            measurement.symmetric = [layer.index for layer in found]

        copies = torch.stack([are_copies(layer.weights[0]) for layer in candidates])
        if any(is_sharded(layer.weights[0]) for layer in candidates):  # compared within each process
            readings.add_shares(copies.double() / readings.processes.total, finish)
        else:
            readings.add(copies, finish)

    def state_dict(self) -> list[int] | None:
        return None if self._found is None else [layer.index for layer in self._found]

    def load_state_dict(self, state: list[int]) -> None:
        self._found = [layer for layer in self._network.layers if layer.index in state]
