"""Losses between measured steps, and whether they were finite, told without waiting for the device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.monitor.collectors.readings import Numbers, Readings

MOST = 10_000  # losses kept between measured steps


class LossBuffer:
    """Keeps each step's loss on the device, so that none is waited for, until a measured step looks at them.

    Example:
        >>> losses = LossBuffer()
        >>> for step, loss in enumerate([1.0, float("nan"), 1.0]):
        ...     losses.keep(torch.tensor(loss), step)
        >>> losses.look()
        1
        >>> losses.values[::2]
        [1.0, 1.0]

    Attributes:
        values: those that came to the host last.
    """

    def __init__(self) -> None:
        self.values: list[float] = []
        self._losses: list[Tensor] = []
        self._first: int | None = None
        self._steps: list[int] = []

    def keep(self, loss: Any, step: int) -> None:
        """Take in a loss, or anything else that a training step may return."""
        loss = loss.get("loss") if isinstance(loss, Mapping) else loss
        if isinstance(loss, Tensor) and len(self._losses) < MOST:
            self._losses.append(loss.detach() if loss.requires_grad else loss)
            self._steps.append(step)

    def add_to(self, readings: Readings) -> None:
        """Let the losses travel with other numbers; :meth:`take` tells what came of it. Each is the mean over the parts
        of its batch, which is not finite where one of them is not."""
        self.values = []
        if self._losses:
            readings.add_means(self._stacked(), self._note)

    def _stacked(self) -> Tensor:
        device = self._losses[-1].device  # those of a checkpoint came from the host
        return torch.stack([loss.to(device) if loss.ndim == 0 else loss.sum() for loss in self._losses])

    def _note(self, values: Sequence[float], numbers: Numbers) -> None:
        bad = (step for step, loss in zip(self._steps, values, strict=True) if not math.isfinite(loss))
        self._first = next(bad, None) if self._first is None else self._first
        self.values, self._losses, self._steps = list(values), [], []

    def state_dict(self) -> dict[str, Any]:
        """What waits on the device, as plain values for a checkpoint. Waits for the device."""
        return {"losses": self._stacked().tolist() if self._losses else [], "steps": list(self._steps)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._losses, self._steps = [torch.tensor(loss) for loss in state["losses"]], list(state["steps"])

    def take(self) -> int | None:
        """Step of the first loss that was not finite, of those that came to the host; None: all were."""
        first, self._first = self._first, None
        return first

    def look(self, processes: Collectives = ALONE) -> int | None:
        """The same, at once. Waits for the device, and for the processes."""
        readings = Readings(processes)
        self.add_to(readings)
        readings.fetch()
        return self.take()
