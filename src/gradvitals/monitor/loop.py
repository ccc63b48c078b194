"""What the monitor asks of a training loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from gradvitals.distributed.collectives import Collectives


class TrainingLoop(Protocol):
    """A training loop as the monitor sees it; :mod:`gradvitals.loops.lightning_loop` is Lightning's.

    Attributes:
        optimizers: as many during the whole fit.
        processes: those that share the batch.
        scaler: of the loss; None: the loss is not scaled.
        clips: whether something may change the gradients after :meth:`Session.before_step` and before the optimizer.
        step: number of the current step, as the loggers count.
        optimizer_steps: steps taken so far, all optimizers together.
        planned_steps: optimizer steps of the whole fit; None: not known.
        accumulates: batches whose losses are added up, each divided by their number, before a step.
        can_repeat: whether :meth:`repeat` works.
        passes_labels: whether batches contain the labels; else the loss functions that are called show them.
        ends_together: whether all processes end the fit at one step, so that they can add up what is left.
        should_stop: whether the loop was asked to end; setting it asks.
    """

    processes: Collectives
    scaler: GradScaler | None
    clips: bool
    accumulates: int
    can_repeat: bool
    passes_labels: bool
    ends_together: bool
    should_stop: bool

    @property
    def optimizers(self) -> Sequence[Optimizer]: ...

    @property
    def step(self) -> int: ...

    @property
    def optimizer_steps(self) -> int: ...

    @property
    def planned_steps(self) -> int | None: ...

    def watch_clipping(self, see: Callable[[Optimizer, Tensor], None]) -> Callable[[], None] | None:
        """Has ``see`` called with the total gradient norm that clipping computes in each step.

        Returns:
            What ends that; None where clipping computes no norm, so that the monitor must.
        """

    def repeat(self, batch: Any, batch_idx: int) -> AbstractContextManager[Callable[[], Tensor | None]]:
        """Enters a context in which a training step can be repeated and leaves no trace in metrics and logs.

        Yields:
            A function that runs the step and returns its loss.
        """
