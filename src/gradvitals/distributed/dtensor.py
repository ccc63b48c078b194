"""DTensors: tensors that are sharded over processes by FSDP2 or tensor parallelism."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def is_sharded(value: Any) -> bool:
    """Returns whether a value is a DTensor.

    Example:
        >>> is_sharded(nn.Parameter(Tensor([1.0])))
        False
    """
    return type(value) not in (Tensor, nn.Parameter) and isinstance(value, Tensor) and hasattr(value, "placements")


def local_shard(tensor: Any) -> Tensor:
    """Returns this process's shard of a DTensor, any other tensor as it is."""
    return tensor.to_local() if is_sharded(tensor) else tensor
