"""Networks whose weights lie in parts on many devices (FSDP2), and tensors between whole and in parts.

Each block's weights are put together for its own forward and backward pass and let go again, so that a device never
holds the whole network. A whole tensor is what a checkpoint holds; so it does not show how many devices wrote it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gradvitals.distributed.dtensor import is_sharded

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)  # of blocks, and no block themselves


def shard(net: nn.Module, mesh: DeviceMesh) -> None:
    """Spread a network's weights over a mesh: block by block, then what is left.

    Every weight is cut along its first axis, so that a unit's row stays in one piece. A network that is spread already
    is left as it is.

    Args:
        net: any module; its blocks are its children, and those of its lists and sequences.
        mesh: of one axis.

    Raises:
        ValueError: a parameter without an axis, which cannot be cut.
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if isinstance(net, FSDPModule):
        return
    _need_axes(net)
    for block in blocks(net):
        fully_shard(block, mesh=mesh)
    fully_shard(net, mesh=mesh)


def blocks(net: nn.Module) -> Iterator[nn.Module]:
    """The parts of a network that have weights, each of them once.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 1)))
        >>> [type(block).__name__ for block in blocks(net)]
        ['Linear', 'Linear', 'Linear']
    """
    for child in net.children():
        if isinstance(child, CONTAINERS):
            yield from blocks(child)
        elif any(True for _ in child.parameters()):
            yield child


def _need_axes(net: nn.Module) -> None:
    for name, parameter in net.named_parameters():
        if parameter.ndim == 0:
            raise ValueError(
                f"trainer=fsdp: expected parameters of one axis or more; {name} is a single number without one. "
                "Make it torch.zeros(1), or set trainer=ddp"
            )


def whole(value: Any, keep: bool = True) -> Any:
    """A tensor in parts put together on the processor; anything else as it is. Every process must ask for it.

    Args:
        value: a tensor in parts, or not.
        keep: whether this process wants it; one that only helps the others is given an empty tensor.
    """
    if not is_sharded(value):
        return value
    together = value.full_tensor()
    return together.cpu() if keep else torch.empty(0)


def like(value: Any, parts: Any) -> Any:
    """This process's part of a whole tensor, cut as another one is; what belongs to one in one piece stays so.

    Every process must ask for it; the first one's values are dealt out.

    Args:
        value: whole.
        parts: a tensor of the same shape.
    """
    if not is_sharded(parts) or not isinstance(value, Tensor) or value.shape != parts.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(parts.device), parts.device_mesh, parts.placements)
