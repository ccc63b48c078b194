"""What a GradScaler does (16-mixed): the loss scale, and the count of steps that it skips."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement


def loss_scale(scaler: GradScaler | None) -> float:
    """Returns the factor of the loss in backward: 1 without a scaler. Waits for the device."""
    return scaler.get_scale() if scaler is not None else 1.0


def gradient_scale(scaler: GradScaler | None, optimizer: Optimizer) -> float:
    """Returns the factor of the gradients before a step: a fused optimizer unscales them itself."""
    return loss_scale(scaler) if getattr(optimizer, "_step_supports_amp_scaling", False) else 1.0


def scale_in_step(scaler: GradScaler | None, optimizer: Optimizer) -> float:
    """Returns the factor of the gradients within ``optimizer.step``: 1 unless the optimizer unscales them there."""
    return loss_scale(scaler) if getattr(optimizer, "grad_scale", None) is not None else 1.0


class GradScalerState(Collector):
    """Counts skipped steps by the falling scale, on the device, so that no step waits for it."""

    def __init__(self, scaler: GradScaler) -> None:
        self._scaler: Any = scaler
        self._skipped: Tensor | int = 0  # on the device from the first batch on, as is the scale
        self._latest: Tensor | float | None = None

    def batch_ends(self, outputs: Any, step: int, is_measured: bool) -> None:
        scale = self._scaler._scale
        if scale is None:
            return
        if not isinstance(self._latest, Tensor):
            self._skipped = torch.full_like(scale, float(self._skipped))
            before = self._scaler._init_scale if self._latest is None else self._latest
            self._latest = torch.full_like(scale, before)
        self._skipped.add_(scale < self._latest)  # type: ignore[union-attr]
        self._latest.copy_(scale)

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        if isinstance(self._latest, Tensor) and isinstance(self._skipped, Tensor):
            readings.add_one(self._latest, measurement.totals, "scaler/scale")
            readings.add_one(self._skipped, measurement.totals, "scaler/skipped_steps")

    def state_dict(self) -> dict[str, Any]:
        """Returns the count and the scale. Waits for the device."""
        return {"skipped": int(self._skipped), "scale": None if self._latest is None else float(self._latest)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._skipped, self._latest = state["skipped"], state["scale"]
