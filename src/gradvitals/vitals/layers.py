"""Which modules of a network are layers, and in which order they work."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


@dataclass(frozen=True)
class Layer:
    """A module that has a weight of two or more axes.

    Attributes:
        name: dotted name inside the network.
        index: position in the order of the first forward pass.
        label: ``{zero-padded index}.{name}``, the LAYER of tags and files.
    """

    name: str
    index: int
    label: str
    module: nn.Module

    @property
    def weight(self) -> nn.Parameter:
        """Shape ``(out, in, ...)``."""
        return self.module.weight  # type: ignore[return-value]

    @property
    def kind(self) -> str:
        """The module's class, such as ``Linear``."""
        return type(self.module).__name__

    @property
    def fan_in(self) -> int:
        """Inputs of one output unit."""
        return self.weight[0].numel()


def is_layer(module: nn.Module) -> bool:
    """Whether a module has a weight of two or more axes and is no normalisation."""
    weight = getattr(module, "weight", None)
    return isinstance(weight, nn.Parameter) and weight.ndim >= 2 and not isinstance(module, NORMS)


def find_layers(network: nn.Module, order: Iterable[nn.Module] = ()) -> list[Layer]:
    """The layers of a network by depth.

    Args:
        network: any module.
        order: modules as they were first called (:class:`ForwardOrder`); layers that are not among them follow in the
            order of their registration.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
        >>> [layer.label for layer in find_layers(net)]
        ['00.0', '01.2']
    """
    names = {module: name for name, module in network.named_modules() if is_layer(module)}
    ordered = [module for module in dict.fromkeys(order) if module in names]
    known = set(ordered)
    ordered += [module for module in names if module not in known]
    digits = max(2, len(str(len(ordered) - 1)))
    return [Layer(names[m], i, f"{i:0{digits}d}.{names[m]}", m) for i, m in enumerate(ordered)]


class ForwardOrder:
    """Records in which order the modules of a network are first called, until it is closed.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
        >>> order = ForwardOrder(net)
        >>> _ = net(torch.zeros(1, 4)); order.close()
        >>> [type(module).__name__ for module in order.modules]
        ['Sequential', 'Linear', 'Linear']
    """

    def __init__(self, network: nn.Module) -> None:
        self.modules: dict[nn.Module, None] = {}
        self._hooks = [m.register_forward_pre_hook(self._called) for m in network.modules()]

    def _called(self, module: nn.Module, args: tuple) -> None:
        self.modules.setdefault(module)

    def close(self) -> None:
        """Take the hooks off; what was recorded stays."""
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
