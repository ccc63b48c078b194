"""Tensors that lie in parts in several processes (DTensor), as FSDP2 and tensor parallelism make them."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def is_sharded(value: Any) -> bool:
    """Whether a tensor lies in parts in several processes.

    Example:
        >>> is_sharded(nn.Parameter(Tensor([1.0])))
        False
    """
    return type(value) not in (Tensor, nn.Parameter) and isinstance(value, Tensor) and hasattr(value, "placements")


def local_shard(tensor: Any) -> Tensor:
    """What this process holds of a tensor: of one that is whole, all of it."""
    return tensor.to_local() if is_sharded(tensor) else tensor
