"""Norms of gradients: tensors in, numbers out, with one kernel and one copy to the host for all layers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norms of many tensors in one call.

    Args:
        tensors: of any shapes, on one device.

    Returns:
        Shape ``(len(tensors),)``, still on the device: nothing waits.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.tensor([[1.0]])])
        tensor([5., 1.])
    """
    return torch.stack(torch._foreach_norm(list(tensors))) if tensors else torch.zeros(0)


def total(norms: Tensor) -> Tensor:
    """The norm of all tensors together, from their norms ``(n,)``.

    Example:
        >>> total(torch.tensor([3.0, 4.0]))
        tensor(5.)
    """
    return torch.linalg.vector_norm(norms)


class InputGradient:
    """Catches the gradient of the loss with respect to what a network is given.

    The first of ``modules`` to be called with a tensor is the entry. That tensor is replaced by an equal one whose
    gradient is kept, so the network computes what it would have computed; further calls of the entry (accumulation) are
    caught too. Nothing is caught where the tensor holds integers, or is the result of something that learns.

    Args:
        *modules: where the input may come in: a network's ``modules()``, or its known entry.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = InputGradient(net)
        >>> net(torch.ones(1, 2)).sum().backward()
        >>> torch.equal(caught.gradients()[0], net.weight)
        True
        >>> caught.close()
    """

    def __init__(self, *modules: nn.Module) -> None:
        self.entry: nn.Module | None = None
        self._inputs: list[Tensor] = []
        self._hooks = [module.register_forward_pre_hook(self._replace) for module in modules]

    def _replace(self, module: nn.Module, args: tuple) -> tuple | None:
        position = next((i for i, x in enumerate(args) if isinstance(x, Tensor)), None)
        if position is None or not torch.is_grad_enabled() or self.entry not in (None, module):
            return None
        self.entry = module
        if not args[position].is_floating_point() or args[position].requires_grad:
            return None
        leaf = args[position].detach().requires_grad_()
        self._inputs.append(leaf)
        # A copy, because a network that works in place may not do so on a leaf.
        return (*args[:position], leaf.clone(), *args[position + 1 :])

    def gradients(self) -> list[Tensor]:
        """One tensor of the input's shape per call that backward has reached."""
        return [x.grad for x in self._inputs if x.grad is not None]

    def close(self) -> None:
        """Take the hooks off and let go of the tensors."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._inputs = [], []
