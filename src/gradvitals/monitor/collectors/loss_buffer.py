"""The losses of all steps, fetched at measured steps, and the first that was not finite."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement

MOST = 10_000  # losses kept between measured steps


class LossBuffer(Collector):
    """Keeps each step's loss on the device, so that none is waited for, until a measured step fetches them.

    Example:
        >>> losses = LossBuffer()
        >>> for step, loss in enumerate([1.0, float("nan"), 1.0]):
        ...     losses.batch_ends(torch.tensor(loss), step, False)
        >>> losses.look()
        (1, [1.0, nan, 1.0])
    """

    def __init__(self, loop: TrainingLoop | None = None) -> None:
        self._loop = loop
        self._factor = float(loop.accumulates) if loop is not None else 1.0
        self._of_backward: Tensor | None = None  # for a training step that returns nothing
        self._losses: list[Tensor] = []
        self._steps: list[int] = []

    def before_backward(self, loss: Tensor) -> None:
        self._of_backward = loss

    def batch_ends(self, outputs: Any, step: int, is_measured: bool) -> None:
        loss = outputs if isinstance(outputs, Tensor) or not isinstance(outputs, Mapping) else outputs.get("loss")
        if not isinstance(loss, Tensor) and self._loop is not None and self._loop.scaler is None:
            loss = self._of_backward
        self._of_backward = None
        if isinstance(loss, Tensor) and len(self._losses) < MOST:
            self._losses.append(loss.detach() if loss.requires_grad else loss)
            self._steps.append(step)

    def add_to(self, readings: Readings, measurement: Measurement, number: int = 0) -> None:
        """Adds the losses: each is the mean over the shares of its batch, not finite where one of them is not."""

        def finish(values: Sequence[float]) -> None:
            bad = (step for step, loss in zip(self._steps, values, strict=True) if not math.isfinite(loss))
            measurement.diverged = next(bad, None)
            measurement.losses = [self._factor * value for value in values]
            self._losses, self._steps = [], []

        if self._losses:
            readings.add_means(self._stacked(), finish)

    def look(self, readings: Readings | None = None) -> tuple[int | None, list[float]]:
        """Fetches the losses at once, and the step of the first that was not finite.

        Waits for the device, and for the processes.

        Args:
            readings: to which nothing was added.
        """
        readings, measurement = readings or Readings(), Measurement(0, [])
        readings.gather("losses", self.add_to, readings, measurement)
        readings.fetch()
        return measurement.diverged, measurement.losses

    def _stacked(self) -> Tensor:
        losses = [loss if loss.ndim == 0 else loss.sum() for loss in self._losses]
        device = losses[-1].device
        if losses[0].device != device:  # those of a checkpoint came from the host
            losses = [loss.to(device) for loss in losses]
        return torch.stack(losses)

    def state_dict(self) -> dict[str, Any]:
        return {"losses": self._stacked().tolist() if self._losses else [], "steps": list(self._steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._losses, self._steps = [torch.tensor(loss) for loss in state["losses"]], list(state["steps"])
