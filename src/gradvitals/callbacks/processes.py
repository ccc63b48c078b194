"""The processes that share a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lightning import Trainer
from torch import Tensor


@dataclass(frozen=True)
class Processes:
    """How many processes share the batch, and how many hold each part of it (tensor parallelism).

    Attributes:
        number: of parts of the batch; each process' loss is the mean over its part.
        copies: processes per part.

    Example:
        >>> import torch
        >>> Processes().add(torch.ones(1))
        tensor([1.])
    """

    number: int = 1
    copies: int = 1

    @classmethod
    def of(cls, trainer: Trainer) -> Processes:
        """Those of a Trainer."""
        mesh: Any = getattr(trainer.strategy, "_device_mesh", None)
        names = getattr(mesh, "mesh_dim_names", None) or ()
        parts = mesh["data_parallel"].size() if "data_parallel" in names else trainer.world_size
        return cls(parts, trainer.world_size // parts)

    def add(self, sums: Tensor) -> Tensor:
        """Sums over all parts of the batch, of equal shape in each process. A collective call."""
        if self.number * self.copies == 1:
            return sums
        import torch.distributed as dist

        added = sums.contiguous().clone()
        dist.all_reduce(added)
        return added / self.copies

    def smallest(self, number: int) -> int:
        """The smallest of all processes' numbers. A collective call."""
        if self.number * self.copies == 1:
            return number
        import torch
        import torch.distributed as dist

        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        found = torch.tensor(number, device=device)
        dist.all_reduce(found, dist.ReduceOp.MIN)
        return int(found)
