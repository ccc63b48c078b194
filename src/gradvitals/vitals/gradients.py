"""Norms of gradients: tensors in, numbers out, which stay on the device until they are asked for.

Sums run in float64: a sum of squares in float32 is 0 where entries are below 1e-23, as in the first layers of 40
sigmoids, and infinite from 1e19 on; what vanishes would be called dead and what explodes not a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

import torch
from torch import Tensor, nn


def _wide(device: torch.device) -> torch.dtype:
    """float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norms of many tensors in one call.

    Args:
        tensors: of any shapes, on one device.

    Returns:
        Shape ``(len(tensors),)``, float64, still on the device: nothing waits.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.tensor([[1.0]])])
        tensor([5., 1.], dtype=torch.float64)
    """
    if not tensors:
        return torch.zeros(0)
    return torch.stack(torch._foreach_norm(list(tensors), dtype=_wide(tensors[0].device)))


def total(norms: Tensor) -> Tensor:
    """The norm of all tensors together, from their norms ``(n,)``.

    Example:
        >>> total(torch.tensor([3.0, 4.0]))
        tensor(5.)
    """
    return torch.linalg.vector_norm(norms)


def cosine(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """Cosine of the angle between two gradients, each a list of tensors taken as one vector.

    1: the direction was kept. Also 1 where both are nothing but zeros; nan where one of them is.

    Args:
        before, after: the same shapes in the same order.

    Returns:
        Shape ``()``, float64, still on the device.

    Example:
        >>> cosine([torch.tensor([3.0, 4.0])], [torch.tensor([1.0, 1.0])])  # clipped to 1 by value
        tensor(0.9899, dtype=torch.float64)
    """
    wide = _wide(before[0].device)
    pairs = [(a.to(wide).flatten(), b.to(wide).flatten()) for a, b in zip(before, after, strict=True)]
    dot = torch.stack([a @ b for a, b in pairs]).sum()
    length, length_after = (total(norms(vectors)) for vectors in zip(*pairs, strict=True))
    return torch.where((length == 0) & (length_after == 0), 1.0, dot / (length * length_after))


class ActivationGradients:
    """Catches how large the loss's gradient is with respect to what each layer puts out: the norm of dL/dh.

    Of each layer one number is kept, the L2 norm over batch and features; further calls of the layer (accumulation,
    shared weights) and further backward passes join in. The work is done while backward has the gradient in hand, so
    none is held back.

    Args:
        layers: the modules to watch; those whose output is no tensor are passed over.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = ActivationGradients([net])
        >>> net(torch.ones(4, 2)).mean().backward()  # dL/dh is 1/4 for each of 4 samples
        >>> caught.take()[net]
        tensor(0.5000, dtype=torch.float64)
        >>> caught.close()
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        self._norms: dict[nn.Module, Tensor] = {}
        self._hooks = [layer.register_forward_hook(self._watch) for layer in layers]

    def _watch(self, layer: nn.Module, args: tuple, output: object) -> None:
        if isinstance(output, Tensor) and output.requires_grad:
            output.register_hook(partial(self._join, layer))

    def _join(self, layer: nn.Module, gradient: Tensor) -> None:
        norm = torch.linalg.vector_norm(gradient.detach(), dtype=_wide(gradient.device))
        self._norms[layer] = torch.hypot(self._norms[layer], norm) if layer in self._norms else norm

    def take(self) -> dict[nn.Module, Tensor]:
        """What backward has brought since the last call: layer -> norm, shape ``()``."""
        taken, self._norms = self._norms, {}
        return taken

    def close(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._norms = [], {}


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
        >>> torch.equal(caught.take()[0], net.weight)
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

    def take(self) -> list[Tensor]:
        """One tensor of the input's shape per call that backward has reached since the last time."""
        taken, self._inputs = self._inputs, []
        return [x.grad for x in taken if x.grad is not None]

    def close(self) -> None:
        """Take the hooks off and let go of the tensors."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._inputs = [], []
