"""Which parameters of a module optimizers hold, and which receive a gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_pre_hook
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradvitals.vitals.hooks import UncopiedHook, remove, weak

ADDS_DECAY_TO_THE_GRADIENT = (torch.optim.Adam, torch.optim.NAdam, torch.optim.RAdam, torch.optim.Adamax)


def held_by(optimizers: Iterable[Optimizer]) -> set[int]:
    """Returns the ``id`` of each parameter that an optimizer holds."""
    return {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}


def share_trained(parameters: Iterable[Tensor], held: set[int]) -> float:
    """Returns the share of numbers that are held and require a gradient; 1 where there are none.

    Example:
        >>> net = nn.Linear(9, 1)  # nine weights and a bias
        >>> share_trained(net.parameters(), {id(net.bias)})
        0.1
    """
    trained = total = 0
    for parameter in parameters:
        size = 0 if is_lazy(parameter) else parameter.numel()
        total += size
        trained += size if parameter.requires_grad and id(parameter) in held else 0
    return trained / total if total else 1.0


def learning_rate(optimizers: Iterable[Optimizer]) -> float | None:
    """Returns the largest learning rate of all groups; None where no rate is a number on the host."""
    rates = [rate for optimizer in optimizers for group in optimizer.param_groups if (rate := _rate(group)) is not None]
    return max(rates, default=None)


def weight_decay(optimizers: Iterable[Optimizer]) -> float | None:
    """Returns the largest product of learning rate and weight decay; None where there is no such pair.

    Example:
        >>> weight_decay([torch.optim.SGD(nn.Linear(2, 2).parameters(), lr=0.5, weight_decay=0.1)])
        0.05
    """
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    products = [rate * _number(g.get("weight_decay")) for g in groups if (rate := _rate(g)) is not None]
    return max(products, default=None)


def coupled_decay(optimizer: Optimizer) -> float | None:
    """Returns the largest weight decay that an adaptive optimizer adds to the gradient; None: it is another one.

    Example:
        >>> weights = nn.Linear(2, 2).parameters
        >>> coupled_decay(torch.optim.Adam(weights(), weight_decay=0.1)), coupled_decay(torch.optim.AdamW(weights()))
        (0.1, None)
    """
    groups = [group for group in optimizer.param_groups if not group.get("decoupled_weight_decay")]
    if not isinstance(optimizer, ADDS_DECAY_TO_THE_GRADIENT) or isinstance(optimizer, torch.optim.AdamW) or not groups:
        return None
    return max(_number(group.get("weight_decay")) for group in groups)


class CalledModules:
    """Records which modules run in a forward pass, those included that are no submodules of the network.

    Args:
        held: ``id`` of each parameter that an optimizer holds.
        sees_strangers: whether to look at modules that are no submodules; torch warns of that in a compiled network.

    Attributes:
        called: modules of the network.
        strangers: kinds of modules with trainable parameters of their own that neither the network nor an optimizer
            holds, and that ran with gradients enabled.

    Example:
        >>> net, hidden = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> watch = CalledModules(net, set())
        >>> _ = hidden(net(torch.zeros(1, 2))); watch.close()
        >>> net in watch.called, watch.strangers
        (True, ['Linear'])
    """

    def __init__(self, network: nn.Module, held: set[int], sees_strangers: bool = True) -> None:
        self.called: set[nn.Module] = set()
        self.strangers: list[str] = []
        self._known = held | {id(parameter) for parameter in network.parameters()}
        self._own = set(network.modules())
        self._seen: set[nn.Module] = set()  # keeps them alive, so that no two have one id
        if sees_strangers:
            self._hooks = [register_module_forward_pre_hook(weak(self._call))]
            finalize(self, self._hooks[0].remove)
        else:
            call = UncopiedHook(self._call)
            self._hooks = [module.register_forward_pre_hook(call) for module in self._own]

    def _call(self, module: nn.Module, args: tuple[Any, ...]) -> None:
        if torch.compiler.is_compiling():  # a set of modules is an error in a compiled program
            return
        if module in self._own:
            self.called.add(module)
        elif module not in self._seen and torch.is_grad_enabled():
            self._seen.add(module)
            own = [p for p in module.parameters(recurse=False) if p.requires_grad]
            if own and not any(id(parameter) in self._known for parameter in own):
                self.strangers.append(type(module).__name__)

    def close(self) -> None:
        remove(self._hooks)
        self._seen = set()


def _rate(group: dict[str, Any]) -> float | None:
    rate = group.get("lr")
    if isinstance(rate, Tensor):
        return rate.item() if rate.device.type == "cpu" else None  # another device would have to be waited for
    return float(rate) if isinstance(rate, (int, float)) else None


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else 0.0
