"""The gradient of the loss with respect to what a network is given."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import remove


class InputGradient:
    """Catches dL/dx of each tensor that the network is first called with.

    The first of ``modules`` to be called with a tensor is the entry. That tensor is replaced by an equal one whose
    gradient is kept, so the network computes what it would have computed; further calls of the entry (accumulation) are
    caught too. Nothing is caught where the tensor holds integers, is the result of something that learns, or was made
    in inference mode.

    Args:
        *modules: where the input may come in: a network's ``modules()``, or its known entry.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = InputGradient(net)
        >>> net(torch.ones(1, 2)).sum().backward()
        >>> torch.equal(caught.take()[0], net.weight)
        True
        >>> caught.close()
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.entry: nn.Module | None = None
        self._inputs: list[Tensor] = []
        self._hooks = [module.register_forward_pre_hook(self._replace, with_kwargs=True) for module in modules]

    def _replace(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> tuple[tuple, dict] | None:
        named: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        place = next((key for key, x in named.items() if isinstance(x, Tensor)), None)
        if place is None or not torch.is_grad_enabled() or self.entry not in (None, module):
            return None
        self.entry = module
        x = named[place]
        if not x.is_floating_point() or x.requires_grad or x.is_inference():
            return None
        leaf = x.detach().requires_grad_()
        self._inputs.append(leaf)
        named[place] = leaf.clone()  # a network that works in place may not do so on a leaf
        return tuple(named[i] for i in range(len(args))), {key: named[key] for key in kwargs}

    def take(self) -> list[Tensor]:
        """One tensor of the input's shape per call that backward has reached since the last time."""
        taken, self._inputs = self._inputs, []
        return [x.grad for x in taken if x.grad is not None]

    def close(self) -> None:
        """Take the hooks off and let go of the tensors."""
        remove(self._hooks)
        self._inputs = []
