"""The processes that share a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning import Trainer
from torch import Tensor


@dataclass(frozen=True)
class Collectives:
    """How many processes share the batch, and how many hold each part of it (tensor parallelism).

    Attributes:
        number: of parts of the batch; each process' loss is the mean over its part.
        copies: processes per part.
        rank: of this process among all.

    Example:
        >>> import torch
        >>> Collectives().add(torch.ones(1))
        tensor([1.])
    """

    number: int = 1
    copies: int = 1
    rank: int = 0

    @classmethod
    def of(cls, trainer: Trainer) -> Collectives:
        """Those of a Trainer."""
        mesh: Any = getattr(trainer.strategy, "_device_mesh", None)
        names = getattr(mesh, "mesh_dim_names", None) or ()
        parts = mesh["data_parallel"].size() if "data_parallel" in names else trainer.world_size
        return cls(parts, trainer.world_size // parts, trainer.global_rank)

    @property
    def total(self) -> int:
        """All of them."""
        return self.number * self.copies

    def add(self, sums: Tensor) -> Tensor:
        """Sums over all processes, of equal shape in each, in place. A collective call."""
        if self.total > 1:
            import torch.distributed as dist

            dist.all_reduce(sums)
        return sums

    def gather(self, thing: Any) -> list[Any]:
        """What each process has, in the order of their ranks; for what happens once. A collective call."""
        if self.total == 1:
            return [thing]
        import torch.distributed as dist

        things: list[Any] = [None] * self.total
        dist.all_gather_object(things, thing)
        return things


ALONE = Collectives()
