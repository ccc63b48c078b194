"""Shards networks over devices (FSDP2), and converts between whole tensors and shards.

FSDP2 gathers a block's weights for its own forward and backward pass only, so no device needs memory for the whole
network. Checkpoints contain whole tensors, so they do not depend on the number of devices.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from gradvitals.distributed.dtensor import is_sharded

if TYPE_CHECKING:
    from torch.distributed.device_mesh import DeviceMesh

CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)  # not blocks themselves


def shard(net: nn.Module, mesh: DeviceMesh) -> None:
    """Shards a network's weights over a mesh, block by block, in place; a sharded network stays as it is.

    Every weight is sharded along its first axis, so that all weights of a unit are on one device.

    Args:
        net: any module; weights of any shapes with at least one axis.
        mesh: a mesh of one axis.

    Raises:
        ValueError: a parameter is a scalar, which cannot be sharded.

    Example:
        >>> import torch.distributed as dist
        >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)  # torchrun does it for many
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> shard(net, dist.device_mesh.init_device_mesh("cpu", (1,)))
        >>> type(net[0].weight.data).__name__
        'DTensor'
        >>> dist.destroy_process_group()
    """
    from torch.distributed.fsdp import FSDPModule, fully_shard

    if isinstance(net, FSDPModule):
        return
    _need_axes(net)
    for block in blocks(net):
        fully_shard(block, mesh=mesh)
    fully_shard(net, mesh=mesh)


def blocks(net: nn.Module) -> Iterator[nn.Module]:
    """Yields the children that have weights, of the network and of its lists, dicts and sequences of modules.

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
                f"trainer=fsdp: expected parameters with at least one axis; {name} is a scalar. "
                "Make it torch.zeros(1), or set trainer=ddp"
            )


def gathered(value: Any, keep: bool = True) -> Any:
    """Returns a sharded tensor as a whole tensor on the CPU, any other value as it is. A collective call.

    Args:
        keep: False returns an empty tensor, in processes that do not need the result.
    """
    if not is_sharded(value):
        return value
    full = value.full_tensor()
    return full.cpu() if keep else torch.empty(0)


def sharded_like(value: Any, sharded: Any) -> Any:
    """Returns a whole tensor of the first process sharded like another one. A collective call.

    Any other value, and any value for a tensor that is not sharded or has another shape, is returned as it is.
    """
    if not is_sharded(sharded) or not isinstance(value, Tensor) or value.shape != sharded.shape:
        return value
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(value.to(sharded.device), sharded.device_mesh, sharded.placements)
