"""The gradients of two consecutive steps of each optimizer, for the noise scale."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.grad_scaler import gradient_scale
from gradvitals.monitor.collectors.optimizer_step import parameters
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.vitals import NoiseScale
from gradvitals.vitals.hooks import tensors_in


class _OfOptimizer:
    """One optimizer's estimate, and its gradient of a measured step until the next step."""

    def __init__(self) -> None:
        self.scale = NoiseScale()
        self.pairs = self.samples = 0
        self.first: list[Tensor] = []

    def step(self, optimizer: Optimizer, scale: float, keep: bool) -> None:
        first, self.first = self.first, []
        samples, self.samples = self.samples, 0
        if not (first or keep):
            return
        gradients = [p.grad / scale for p in parameters(optimizer) if p.grad is not None]
        if first and [g.shape for g in first] == [g.shape for g in gradients]:
            self.scale.add([f.to(g) for f, g in zip(first, gradients, strict=True)], gradients, samples)
            self.pairs += 1
        self.first = gradients if keep else []

    def state_dict(self) -> dict[str, Any]:
        noise, signal = float(self.scale.noise), float(self.scale.signal)
        waiting = {"pairs": self.pairs, "samples": self.samples, "first": self.first}
        return {"noise": noise, "signal": signal} | waiting

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.scale.noise, self.scale.signal = state["noise"], state["signal"]
        self.pairs, self.samples, self.first = state["pairs"], state["samples"], list(state["first"])


class NoiseScaleCollector(Collector):
    """Keeps the gradient of a measured step until its optimizer's next step, and estimates the noise scale."""

    def __init__(self, loop: TrainingLoop) -> None:
        self._loop = loop
        self._estimates = [_OfOptimizer() for _ in loop.optimizers]

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        samples = next((len(x) for x in tensors_in(batch) if x.ndim), 1) * self._loop.processes.number
        for estimate in self._estimates:
            estimate.samples += samples

    def before_step(self, number: int, optimizer: Optimizer, is_measured: bool) -> None:
        scale = gradient_scale(self._loop.scaler, optimizer)
        self._estimates[number].step(optimizer, scale, keep=is_measured)

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        if self._estimates[number].pairs:
            name = f"noise_scale/total{measurement.suffix}"
            readings.add_one(self._estimates[number].scale.value, measurement.totals, name)

    def state_dict(self) -> list[dict[str, Any]]:
        """Returns the estimates; as large as the weights where a gradient waits for its second."""
        return [estimate.state_dict() for estimate in self._estimates]

    def load_state_dict(self, state: list[dict[str, Any]]) -> None:
        for estimate, known in zip(self._estimates, state, strict=False):
            estimate.load_state_dict(known)
