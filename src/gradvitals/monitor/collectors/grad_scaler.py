"""What a loss scaler does (16-mixed): the scale, and the steps that it skips."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Trainer
from torch import Tensor
from torch.optim import Optimizer

from gradvitals.monitor.collectors.readings import Readings


class GradScalerState:
    """Counts skipped steps by the falling scale, on the device: no step waits for it.

    Args:
        trainer: whose scaler it is.
        skipped, scale: steps and scale before this fit, as :meth:`state_dict` has them.
    """

    def __init__(self, trainer: Trainer, skipped: int = 0, scale: float | None = None) -> None:
        self.scaler: Any = getattr(trainer.precision_plugin, "scaler", None)
        self._skipped: Tensor | int = skipped
        self._before = scale
        self._latest: Tensor | None = None

    @property
    def value(self) -> float:
        """What the loss is multiplied by before backward: 1 without a scaler. Waits for the device."""
        return self.scaler.get_scale() if self.scaler is not None else 1.0

    @property
    def skipped(self) -> int:
        """Steps so far. Waits for the device."""
        return int(self._skipped)

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint. Waits for the device."""
        return {"skipped": self.skipped, "scale": self._before if self._latest is None else float(self._latest)}

    def of_gradients(self, optimizer: Optimizer) -> float:
        """What the gradients are multiplied by in front of a step: a fused optimizer unscales them itself."""
        return self.value if getattr(optimizer, "_step_supports_amp_scaling", False) else 1.0

    def batch_ends(self) -> None:
        """Compare the scale with that of the batch before."""
        scale = getattr(self.scaler, "_scale", None)
        if scale is None:
            return
        if self._latest is None:
            self._skipped = torch.full_like(scale, float(self._skipped))
            before = self.scaler._init_scale if self._before is None else self._before
            self._latest = torch.full_like(scale, before)
        self._skipped.add_(scale < self._latest)  # type: ignore[union-attr]
        self._latest.copy_(scale)

    def add_to(self, readings: Readings) -> None:
        """The scale and the count, where there is a scaler."""
        if self._latest is not None and isinstance(self._skipped, Tensor):
            readings.add_one("scaler/scale", self._latest)
            readings.add_one("scaler/skipped_steps", self._skipped)
