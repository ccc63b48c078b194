"""What wrappers hide from the monitor: the network, the optimizers, and the processes that share a batch."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.optim import Optimizer

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.distributed.dtensor import is_sharded

log = logging.getLogger(__name__)


def network_of(model: nn.Module) -> nn.Module:
    """Returns the network itself, whose layers have the same names on one device and on several.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> network_of(DataParallel(net)) is net
        True
    """
    inner = getattr(model, "_forward_module", None)  # Lightning Fabric's wrapper
    if isinstance(inner, nn.Module):
        return network_of(inner)
    return network_of(model.module) if isinstance(model, DataParallel | DistributedDataParallel) else model


def optimizers_of(optimizer: Optimizer | Sequence[Optimizer]) -> list[Optimizer]:
    """Returns the optimizers that take the steps, without the wrappers of Accelerate and Fabric.

    Raises:
        TypeError: something else is among them.
    """
    several = [optimizer] if isinstance(optimizer, Optimizer) else optimizer
    if not isinstance(several, list | tuple) or not several:
        raise TypeError(f"watch: expected an optimizer of torch, or a list of them; got {type(optimizer).__name__}")
    found = [_inner(one) for one in several]
    for one in found:
        if not isinstance(one, Optimizer):
            raise TypeError(f"watch: expected an optimizer of torch, or a list of them; got {type(one).__name__}")
    return found


def _inner(optimizer: Optimizer) -> Optimizer:
    inner = getattr(optimizer, "optimizer", None)
    return _inner(inner) if isinstance(inner, Optimizer) else optimizer


def processes_of(model: nn.Module, wait: float = 60.0) -> Collectives:
    """Returns the processes that share the batches of a model, which DDP or FSDP2 has divided among them.

    Where not all of them watch, as where only the first one logs, they could not add up their numbers: then this one is
    by itself, with a warning.

    Args:
        wait: seconds for the others to come.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return ALONE
    inner = getattr(model, "_forward_module", model)
    shares = isinstance(inner, DistributedDataParallel) or any(map(is_sharded, model.parameters()))
    if not shares:
        return ALONE
    together = Collectives(number=dist.get_world_size(), rank=dist.get_rank())
    if together.all_arrive("watch", wait):
        return together
    log.warning(
        f"gradvitals: watch expected a call in each of {together.total} processes; only some came within {wait:.0f} s. "
        f"Losses and activations are those of process {together.rank} alone. Call watch and vitals.log in each process"
    )
    return ALONE
