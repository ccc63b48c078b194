"""The pre-flight of a fit: its first measured batch, before the first step, beside what theory expects of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.monitor.collectors.readings import Numbers, Readings
from gradvitals.signal_propagation.expectation import Theory, assemble
from gradvitals.signal_propagation.reading import LayerReading, Preflight
from gradvitals.vitals import Chain, Layer
from gradvitals.vitals.batch import inputs_and_labels

OTHERS = ("name", "index", "kind", "gain_measured", "gain_predicted", "gain_scatter")
MEASURED = [name for name in LayerReading.__annotations__ if name not in OTHERS]  # numbers of a step, by their tags


class FirstBatch:
    """Finds out how layers follow each other in the first batch of a fit.

    Args:
        network: which is about to be called.
        batch: with what.
        processes: those that share the batch, in parts of the same size.
    """

    def __init__(self, network: nn.Module, batch: Any, processes: Collectives = ALONE) -> None:
        x, _ = inputs_and_labels(batch)
        self._samples = len(x) * processes.number if x is not None else None
        self._chain: Chain | None = Chain(network)
        self._theory: Theory | None = None
        self._loss, self._is_agreed = math.nan, False

    @property
    def waits(self) -> bool:
        """Whether the graph was not yet read."""
        return self._chain is not None

    def backward_begins(self, loss: Tensor, layers: Sequence[Layer]) -> None:
        """The graph is complete: read it, once, and the weights before the first step changes them."""
        if self._chain is not None:
            links = self._chain.links([layer.module for layer in layers], loss)  # type: ignore[misc]
            self._theory = Theory.of(layers, links, self._samples)
            self._loss = loss.item()
            self.close()

    def add_to(self, readings: Readings) -> None:
        """Let loss and predictions become those of the whole batch, of which the processes have parts."""
        if readings.processes.total > 1 and self._theory is not None and not self._is_agreed:
            gains = [p.gain if p is not None else math.nan for p in self._theory.predictions]
            readings.add_means(torch.tensor([self._loss, *gains], dtype=torch.float64), self._agree)

    def _agree(self, values: Sequence[float], numbers: Numbers) -> None:
        assert self._theory is not None
        self._loss, self._is_agreed = values[0], True
        known = zip(self._theory.predictions, values[1:], strict=True)
        agreed = [None if p is None or math.isnan(gain) else replace(p, gain=gain) for p, gain in known]
        self._theory = replace(self._theory, predictions=agreed)

    def found(self, numbers: Mapping[str, float], layers: Sequence[Layer], expected: float | None) -> Preflight | None:
        """What the first measured step showed; None where nothing is known of the layers.

        Args:
            numbers: of the step, by tag.
            layers: of the network.
            expected: loss of a network that knows nothing yet.
        """
        if self._theory is None or len(self._theory.links) != len(layers):
            return None
        measured = [{name: numbers.get(f"{name}/{layer.label}") for name in MEASURED} for layer in layers]
        at_input = numbers.get("grad_norm/input")
        return assemble(layers, self._theory, measured, at_input, self._loss, expected)

    def close(self) -> None:
        """Take the hooks off."""
        if self._chain is not None:
            self._chain.close()
        self._chain = None


def predicted_decades(found: Preflight) -> float | None:
    """Of dL/dh between last and first layer, where theory has a number for each layer between."""
    gains = [layer.gain_predicted for layer in found.layers[:-1]]
    if not gains or any(gain is None or not 0 < gain < math.inf for gain in gains):
        return None
    return sum(math.log10(gain) for gain in gains if gain)
