"""A training loop of plain torch, as the monitor sees it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

from gradvitals.distributed.collectives import ALONE, Collectives


class TorchLoop:
    """Answers what :class:`gradvitals.monitor.loop.TrainingLoop` asks, by counting what it is shown.

    Args:
        optimizers: all of the loop.
        planned_steps: see :class:`gradvitals.monitor.loop.TrainingLoop`.
        scaler: of the loss.
        accumulates: batches whose losses are added up, each divided by their number, before a step.
        processes: those that share the batch.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
        >>> loop = TorchLoop([optimizer])
        >>> loop.step_begins(optimizer); loop.batch_ends()
        >>> loop.step, loop.optimizer_steps
        (1, 1)
    """

    clips = True  # nobody says whether the loop clips, so the gradients are compared
    can_repeat = False
    passes_labels = ends_together = False

    def __init__(
        self,
        optimizers: Sequence[Optimizer],
        planned_steps: int | None = None,
        scaler: GradScaler | None = None,
        accumulates: int = 1,
        processes: Collectives = ALONE,
    ) -> None:
        self.optimizers, self.planned_steps, self.scaler = list(optimizers), planned_steps, scaler
        self.accumulates, self.processes = accumulates, processes
        self.step = self.optimizer_steps = 0
        self.should_stop = False
        self._stepping: Optimizer | None = None
        self.stepped: set[int] = set()  # optimizers, in this batch, by their number

    def step_begins(self, optimizer: Optimizer) -> None:
        """Counts a step, which is one of those taken as soon as anything else begins."""
        self.optimizer_steps += self._stepping is not None
        self._stepping = optimizer
        self.stepped.add(self.optimizers.index(optimizer))

    def batch_ends(self) -> None:
        self.optimizer_steps += self._stepping is not None
        self._stepping = None
        self.step += bool(self.stepped)
        self.stepped.clear()

    @property
    def all_have_stepped(self) -> bool:
        """Whether each optimizer has, in this batch."""
        return len(self.stepped) == len(self.optimizers)

    def watch_clipping(self, see: Callable[[Optimizer, Tensor], None]) -> Callable[[], None] | None:
        return None

    def repeat(self, batch: object, batch_idx: int) -> AbstractContextManager[Callable[[], Tensor | None]]:
        raise NotImplementedError("a plain loop cannot repeat a step")
