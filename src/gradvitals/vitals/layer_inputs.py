"""Sums of squares of each layer's inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import Hooked, on_forward, taken
from gradvitals.vitals.norms import sums


class LayerInputs(Hooked):
    """Measures the size of each layer's inputs, by which weight gradients of different layers can be compared.

    For one sample, ``|dL/dW| = |dL/dh| |x|``. So grad_norm over the rms of ``|x|`` compares a layer of 784 inputs with
    one of 50, whatever the scale of their inputs (division by ``sqrt(fan_in)`` would assume unit scale).

    Args:
        sums: computes sum and sum of squares of a tensor, float64.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> watched = LayerInputs([net])
        >>> _ = net(torch.tensor([[3.0, 4.0], [0.0, 0.0]])); watched.close()
        >>> squares, samples = watched.take()[net]
        >>> (squares / samples).sqrt()  # rms over samples of 5 and 0
        tensor(3.5355, dtype=torch.float64)
    """

    def __init__(
        self, layers: Iterable[nn.Module] = (), sums: Callable[[Tensor], tuple[Tensor, Tensor]] = sums
    ) -> None:
        self._squares: dict[nn.Module, tuple[Tensor, int]] = {}
        self._sums = sums
        self._hooks = on_forward(layers, self.layer_called)

    def layer_called(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        x = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(x, Tensor) and x.is_floating_point() and torch.is_grad_enabled():
            squares, samples = self._sums(x)[1], len(x) if x.ndim > 1 else 1
            if layer in self._squares:
                squares, samples = squares + self._squares[layer][0], samples + self._squares[layer][1]
            self._squares[layer] = (squares, samples)

    def take(self, layers: Iterable[nn.Module] | None = None) -> dict[nn.Module, tuple[Tensor, int]]:
        """Returns and clears the sum of squares ``()`` and the number of samples of some layers, or all."""
        return taken(self._squares, layers)
