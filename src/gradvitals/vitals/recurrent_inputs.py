"""The inputs of recurrent layers, of which theory must know the size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from gradvitals.vitals.hooks import Hooked, Wrap, unchanged

ROWS = 2048  # that are kept of each layer: pairs of sample and time step


class RecurrentInputs(Hooked):
    """Keeps inputs of the first call of each ``nn.RNN``, ``nn.LSTM`` and ``nn.GRU``.

    Attributes:
        rows: module -> some of its inputs, evenly spaced: ``(rows, features)``.
        steps: module -> time steps of the longest sequence.

    Example:
        >>> import torch
        >>> layer = nn.RNN(3, 4, batch_first=True)
        >>> seen = RecurrentInputs([layer])
        >>> _ = layer(torch.ones(2, 5, 3)); seen.close()
        >>> seen.rows[layer].shape, seen.steps[layer]
        (torch.Size([10, 3]), 5)
    """

    def __init__(self, modules: Iterable[nn.Module], wrap: Wrap = unchanged) -> None:
        self.rows: dict[nn.Module, Tensor] = {}
        self.steps: dict[nn.Module, int] = {}
        watched, called = [module for module in modules if isinstance(module, nn.RNNBase)], wrap(self._called)
        self._hooks = [module.register_forward_pre_hook(called, with_kwargs=True) for module in watched]

    def _called(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        x = args[0] if args else (kwargs or {}).get("input")
        values = x.data if isinstance(x, PackedSequence) else x
        if isinstance(values, Tensor) and module not in self.rows:
            rows = values.detach().flatten(0, -2)
            self.rows[module] = rows[:: -(-len(rows) // ROWS)]
            batch_first = getattr(module, "batch_first", False) and values.ndim == 3
            self.steps[module] = len(x.batch_sizes) if isinstance(x, PackedSequence) else values.shape[batch_first]
