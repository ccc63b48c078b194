"""The pre-flight of a fit: its first measured batch, before the first step, beside what theory expects of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.collectives import Collectives
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork
from gradvitals.signal_propagation.expectation import Theory, assemble
from gradvitals.signal_propagation.reading import LayerReading, Preflight
from gradvitals.signal_propagation.through_time import TimePrediction, predicted_factors, time_readings
from gradvitals.vitals import Chain, RecurrentInputs, SignalGraph
from gradvitals.vitals.batch import inputs_and_labels
from gradvitals.vitals.hooks import Wrap

OTHERS = ("name", "index", "kind", "gain_measured", "gain_predicted", "gain_scatter")
MEASURED = [name for name in LayerReading.__annotations__ if name not in OTHERS]  # quantities of a measurement


class FirstBatch(Collector):
    """Finds out how layers follow each other in the first batch of a fit, and what theory expects of them."""

    def __init__(self, network: WatchedNetwork, processes: Collectives, wrap: Wrap) -> None:
        self._network, self._processes, self._wrap = network, processes, wrap
        self._samples: int | None = None
        self._chain: Chain | None = None
        self._graph: SignalGraph | None = None
        self._inputs: RecurrentInputs | None = None
        self._theory: Theory | None = None
        self._over_time: dict[str, TimePrediction] = {}  # of recurrent layers
        self._loss, self._has_begun, self._is_agreed = math.nan, False, False

    def measured_batch_begins(self, batch: Any) -> None:
        if not self._has_begun:
            self._has_begun = True
            x, _ = inputs_and_labels(batch)
            self._samples = len(x) * self._processes.number if x is not None else None
            self._chain = Chain(self._network.module, self._wrap)
            self._graph = SignalGraph(self._network.module, self._wrap)
            self._inputs = RecurrentInputs(self._network.module.modules(), self._wrap)

    def before_measured_backward(self, loss: Tensor) -> None:
        """Reads the graph, once, and the weights before the first step changes them."""
        if self._chain is not None:
            layers = self._network.layers_in()
            links = self._chain.links([layer.module for layer in layers], loss)  # type: ignore[misc]
            nodes = self._graph.nodes(loss) if self._graph else ()
            self._theory = Theory.of(layers, links, self._samples, nodes)
            self._over_time = predicted_factors(layers, self._inputs) if self._inputs else {}
            self._loss = loss.item()
            self.close()

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        """Makes loss and predictions those of the whole batch, of which each process has a share."""
        if readings.processes.total > 1 and self._theory is not None and not self._is_agreed:
            gains = [p.gain if p is not None else math.nan for p in self._theory.predictions]
            readings.add_means(torch.tensor([self._loss, *gains], dtype=torch.float64), self._agree)

    def _agree(self, values: Sequence[float]) -> None:
        assert self._theory is not None
        self._loss, self._is_agreed = values[0], True
        known = zip(self._theory.predictions, values[1:], strict=True)
        agreed = [None if p is None or math.isnan(gain) else replace(p, gain=gain) for p, gain in known]
        self._theory = replace(self._theory, predictions=agreed)

    def found(self, measurement: Measurement, expected: float | None) -> Preflight | None:
        """Returns what the first measured step showed; None where nothing is known of the layers.

        Args:
            expected: loss of a network that knows nothing yet.
        """
        layers = measurement.layers
        if self._theory is None or len(self._theory.links) != len(layers):
            return None
        measured = [{name: measurement.get(name, layer) for name in MEASURED} for layer in layers]
        at_input = measurement.total("grad_norm/input")
        norms = {layer.name: measurement.through_time.get(layer.label, ()) for layer in layers}
        through_time = time_readings({name: found for name, found in norms.items() if found}, self._over_time)
        return assemble(layers, self._theory, measured, at_input, self._loss, expected, through_time=through_time)

    def hooks_come_off(self) -> None:
        """Ends the look at the first batch where nobody has seen its backward pass."""
        self.close()

    def close(self) -> None:
        for part in (self._chain, self._graph, self._inputs):
            if part is not None:
                part.close()
        self._chain = self._graph = self._inputs = None


def predicted_decades(found: Preflight) -> float | None:
    """Returns the decades of dL/dh between last and first layer, where theory predicts each layer between."""
    gains = [layer.gain_predicted for layer in found.layers[:-1]]
    if not gains or any(gain is None or not 0 < gain < math.inf for gain in gains):
        return None
    return sum(math.log10(gain) for gain in gains if gain)
