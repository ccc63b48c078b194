"""The gradients of two consecutive steps, for the noise scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from gradvitals.distributed.collectives import Collectives
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.vitals import NoiseScale
from gradvitals.vitals.hooks import tensors_in


class NoiseScaleCollector:
    """Keeps the gradient of a measured step of one optimizer until its next step, and estimates the noise scale.

    Args:
        processes: those that share the batch.
    """

    def __init__(self, processes: Collectives) -> None:
        self._processes = processes
        self._scale = NoiseScale()
        self._pairs = self._samples = 0
        self._first: list[Tensor] = []

    def batch_begins(self, batch: Any) -> None:
        """Count the samples of a batch."""
        self._samples += next((len(x) for x in tensors_in(batch) if x.ndim), 1) * self._processes.number

    def step(self, parameters: Sequence[nn.Parameter], scale: float, keep: bool) -> None:
        """Compare with the gradient kept, and keep this one if the step is a measured one.

        Args:
            parameters: of the optimizer.
            scale: what their gradients are multiplied by.
            keep: whether the next step is compared with this one.
        """
        first, self._first = self._first, []
        samples, self._samples = self._samples, 0
        if not (first or keep):
            return
        gradients = [p.grad / scale for p in parameters if p.grad is not None]
        if first and [g.shape for g in first] == [g.shape for g in gradients]:
            self._scale.add([f.to(g) for f, g in zip(first, gradients, strict=True)], gradients, samples)
            self._pairs += 1
        self._first = gradients if keep else []

    def state_dict(self) -> dict[str, Any]:
        """For a checkpoint; as large as the weights where a gradient waits for its second."""
        noise, signal = float(self._scale.noise), float(self._scale.signal)
        waiting = {"pairs": self._pairs, "samples": self._samples, "first": self._first}
        return {"noise": noise, "signal": signal} | waiting

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._scale.noise, self._scale.signal = state["noise"], state["signal"]
        self._pairs, self._samples, self._first = state["pairs"], state["samples"], list(state["first"])

    def add_to(self, readings: Readings, tag: str) -> None:
        """The estimate so far, if there is one."""
        if self._pairs:
            readings.add_one(tag, self._scale.value)
