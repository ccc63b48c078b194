"""What the processes that share a batch do together: collective calls, and whether all have come to a place."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch.distributed as dist
from torch import Tensor

from gradvitals.errors import out_of_reach

if TYPE_CHECKING:
    from lightning import Trainer


@dataclass(frozen=True)
class Collectives:
    """The processes of a run and how the batch is divided among them.

    Attributes:
        number: how many parts the batch has; the loss of each process is the mean over its part.
        copies: how many processes compute the same part (tensor parallelism).
        rank: the rank of this process.

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
        mesh: Any = getattr(trainer.strategy, "_device_mesh", None)
        names = getattr(mesh, "mesh_dim_names", None) or ()
        parts = mesh["data_parallel"].size() if "data_parallel" in names else trainer.world_size
        return cls(parts, trainer.world_size // parts, trainer.global_rank)

    @property
    def total(self) -> int:
        return self.number * self.copies

    def add(self, sums: Tensor) -> Tensor:
        """Sums a tensor of equal shape over all processes, in place. A collective call."""
        if self.total > 1:
            dist.all_reduce(sums)
        return sums

    def gather(self, value: Any) -> list[Any]:
        """Returns the picklable value of each process in the order of ranks. A slow collective call."""
        if self.total == 1:
            return [value]
        values: list[Any] = [None] * self.total
        dist.all_gather_object(values, value)
        return values

    def all_arrive(self, place: str, seconds: float) -> bool:
        """Waits until each process has called this as often as this one; returns whether all came in time.

        No collective call, which would wait for ever.

        Args:
            place: a name for the place, the same in each process.
            seconds: to wait at most.

        Example:
            >>> Collectives().all_arrive("watch", 1.0)
            True
        """
        if self.total == 1:
            return True
        from torch.distributed.distributed_c10d import _get_default_store  # not there where torch has no processes

        store, calls = _get_default_store(), f"gradvitals/{place}/calls/{self.rank}"
        here = f"gradvitals/{place}/{store.add(calls, 1)}"
        store.set(f"{here}/{self.rank}", "here")
        try:
            store.wait([f"{here}/{rank}" for rank in range(self.total)], timedelta(seconds=seconds))
        except RuntimeError:  # torch's errors of a store, timeouts among them
            return False
        return True


ALONE = Collectives()


def is_collective(error: BaseException) -> bool:
    """Returns whether an error is one of the communication between processes.

    Example:
        >>> is_collective(RuntimeError("[gloo/pair.cc:553] Timed out")), is_collective(RuntimeError("out of memory"))
        (True, False)
    """
    is_torchs = isinstance(error, RuntimeError) and any(word in str(error) for word in ("gloo", "NCCL", "ncclX"))
    return is_torchs or isinstance(error, getattr(dist, "DistError", ())) or out_of_reach(error)
