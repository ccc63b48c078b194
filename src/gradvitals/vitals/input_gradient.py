"""The gradient of the loss with respect to a network's input."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from gradvitals.vitals.hooks import Wrap, on_forward, remove, repacked, unchanged


class InputGradient:
    """Records dL/dx of the first argument of a network that is a tensor, or a packed sequence.

    The first of ``modules`` that is called with a tensor is the entry. In each of its calls (accumulation), the tensor
    is replaced by an equal one that keeps its gradient; what the network changes in it in place, it changes in the
    tensor, too. Nothing is recorded for integers, tensors that require a gradient already, and those of inference mode.

    Args:
        *modules: candidates for the entry: a network's ``modules()``, or the known entry.
        wrap: of hooks.

    Example:
        >>> net = nn.Linear(2, 1, bias=False)
        >>> caught = InputGradient(net)
        >>> net(torch.ones(1, 2)).sum().backward()
        >>> torch.equal(caught.take()[0], net.weight)
        True
        >>> caught.close()
    """

    def __init__(self, *modules: nn.Module, wrap: Wrap = unchanged) -> None:
        self.entry: nn.Module | None = None
        self._inputs: list[Tensor] = []
        self._lent: list[tuple[Tensor, Tensor, int]] = []  # given, its copy, and the version of that
        self._returns: list[RemovableHandle] = []
        self._give_back = wrap(self._return_changes)
        replace = wrap(self._replace)
        self._hooks = [module.register_forward_pre_hook(replace, with_kwargs=True) for module in modules]

    def _replace(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        # None: another hook of this call has removed this one, and torch calls it a last time
        if kwargs is None or torch.jit.is_tracing():
            return None
        named: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        key = next((key for key, x in named.items() if isinstance(x, (Tensor, PackedSequence))), None)
        if key is None or not torch.is_grad_enabled() or self.entry not in (None, module):
            return None
        self.entry = module
        given = named[key]
        x = given.data if isinstance(given, PackedSequence) else given
        if not x.is_floating_point() or x.requires_grad or x.is_inference():
            return None
        leaf = x.detach().requires_grad_()
        self._inputs.append(leaf)
        copy = leaf.clone()  # in-place operations on a leaf are errors
        named[key] = repacked(given, copy) if isinstance(given, PackedSequence) else copy
        self._lent.append((x, copy, copy._version))
        if not self._returns:
            self._returns = on_forward([module], self._give_back)
        return tuple(named[i] for i in range(len(args))), {key: named[key] for key in kwargs}

    def _return_changes(self, *_: Any) -> None:
        """Changes the tensor that was given as the network has changed its copy in place."""
        remove(self._returns)
        lent, self._lent = self._lent, []
        with torch.no_grad():
            for x, copy, version in lent:
                if copy._version != version:
                    x.copy_(copy)

    def take(self) -> list[Tensor]:
        """Returns the gradients since the last call, one tensor of the input's shape per call of the entry."""
        taken, self._inputs = self._inputs, []
        return [x.grad for x in taken if x.grad is not None]

    def close(self) -> None:
        """Removes the hooks, and forgets what was not taken."""
        remove(self._hooks)
        remove(self._returns)
        self._inputs, self._lent = [], []
