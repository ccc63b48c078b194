"""What a collector is: one kind of number, gathered over a fit."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement


class Collector:
    """Gathers one kind of number; a subclass overrides what it needs, and only that is called.

    The order in a batch that ends with a measured step::

        batch_begins, measured_batch_begins
          before_backward            the loss and its graph are complete
          before_measured_backward   the same, where the hooks are in place
          before_step                gradients are complete and not yet clipped
          before_measured_step       the same, where the step is measured
          measured_step_begins       the same, behind the norms of the gradients
          add_to                     after the optimizer's step; then everything is fetched at once
        batch_ends
    """

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        """Is called before each batch."""

    def measured_batch_begins(self, batch: Any) -> None:
        """Is called before the batches of a step that may be measured, when the hooks are in place."""

    def before_backward(self, loss: Tensor) -> None:
        """Is called before each backward pass."""

    def before_measured_backward(self, loss: Tensor) -> None:
        """Is called before each backward pass of a batch that began with :meth:`measured_batch_begins`."""

    def before_step(self, number: int, optimizer: Optimizer, is_measured: bool) -> None:
        """Is called before each step of each optimizer, before clipping."""

    def before_measured_step(self) -> None:
        """Is called before anything of a measured step is measured."""

    def measured_step_begins(self, readings: Readings, number: int, optimizer: Optimizer) -> None:
        """Is called before each measured step, before clipping."""

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        """Adds what there is to report to a measured step of the optimizer with this number."""

    def batch_ends(self, outputs: Any, step: int, is_measured: bool) -> None:
        """Is called after each batch with what the training step returned, and the step's number for loggers."""

    def hooks_come_off(self) -> None:
        """Is called when the hooks of measured batches are removed."""

    def state_dict(self) -> Any:
        """Returns plain values and tensors for a checkpoint."""

    def load_state_dict(self, state: Any) -> None:
        """Resumes from a checkpoint of the same network."""

    def close(self) -> None:
        """Removes every hook."""
