"""What activations return: mean, standard deviation, and how much of it is saturated."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import on_forward, remove, taken
from gradvitals.vitals.norms import local, sums

# An output is saturated where the activation's slope is below 5 % of its largest, told from the output alone:
# sigmoid a(1 - a) / .25, tanh 1 - a^2, softsign (1 - |a|)^2, erf exp(-x^2) at a = erf(x); hardtanh has no slope at all.
SATURATED: dict[str, tuple[float, float]] = {
    "Sigmoid": (0.5 - 0.95**0.5 / 2, 0.5 + 0.95**0.5 / 2),
    "Tanh": (-(0.95**0.5), 0.95**0.5),
    "Softsign": (0.05**0.5 - 1, 1 - 0.05**0.5),
    "Erf": (-0.98562, 0.98562),
}
NOT_OF_UNITS = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of torch, or of one's own that says so by an attribute ``is_activation``."""
    ours = type(module).__module__ == nn.modules.activation.__name__ and not isinstance(module, NOT_OF_UNITS)
    return ours or getattr(module, "is_activation", False)


def bounds(activation: nn.Module) -> tuple[float, float] | None:
    """Outputs at or below the first, or at or above the second, are saturated; None: it does not saturate.

    Example:
        >>> bounds(nn.Hardtanh(-2, 2)), bounds(nn.ReLU())
        ((-2, 2), None)
    """
    if isinstance(activation, nn.Hardtanh):
        return activation.min_val, activation.max_val
    return SATURATED.get(type(activation).__name__)


class Attribution:
    """Tells which layer an activation belongs to: the one that was called last before it.

    So one activation that serves many layers is told apart. Where several follow a layer, each counts. What runs
    without gradients (validation, the first pass of a checkpointed block) does not.

    Args:
        record: is called with the layer, the activation, and what it returned.
    """

    def __init__(self, record: Callable[[nn.Module, nn.Module, Tensor], None]) -> None:
        self._record = record
        self._layer: nn.Module | None = None

    def layer_called(self, layer: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        """A layer was called."""
        self._layer = layer

    def activation_called(self, activation: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        """An activation was called."""
        if self._layer is not None and isinstance(output, Tensor) and torch.is_grad_enabled():
            self._record(self._layer, activation, output)


@dataclass
class Outputs:
    """What the activations behind a layer returned.

    Attributes:
        count: numbers.
        sum, squares: of them; shape ``()``, float64.
        outside: how many are saturated; None: they cannot be.
    """

    count: int
    sum: Tensor
    squares: Tensor
    outside: Tensor | None

    def __add__(self, other: Outputs) -> Outputs:
        outside = None if self.outside is None or other.outside is None else self.outside + other.outside
        return Outputs(self.count + other.count, self.sum + other.sum, self.squares + other.squares, outside)


class ActivationStatistics:
    """Sums over what the activations behind each layer return.

    Args:
        layers: the modules to which activations are counted.
        activations: the activations.
        sums: sum and sum of squares of a tensor, float64.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.Tanh())
        >>> _ = net[0].weight.data.fill_(1.0)
        >>> watched = ActivationStatistics([net[0]], [net[1]])
        >>> _ = net(torch.tensor([[-5.0], [0.0], [0.0], [5.0]])); watched.close()
        >>> seen = watched.take()[net[0]]
        >>> mean, std = mean_and_std(seen.count, seen.sum.item(), seen.squares.item())
        >>> round(mean, 3), round(std, 3), seen.outside.item() / seen.count  # the saturated share
        (0.0, 0.707, 0.5)
    """

    def __init__(
        self,
        layers: Iterable[nn.Module] = (),
        activations: Iterable[nn.Module] = (),
        sums: Callable[[Tensor], tuple[Tensor, Tensor]] = sums,
    ) -> None:
        self._seen: dict[nn.Module, Outputs] = {}
        self._sums = sums
        self.attribution = Attribution(self._record)
        self._hooks = on_forward(layers, self.attribution.layer_called)
        self._hooks += on_forward(activations, self.attribution.activation_called)

    def _record(self, layer: nn.Module, activation: nn.Module, output: Tensor) -> None:
        ends, outside = bounds(activation), None
        if ends is not None:
            a = local(output.detach())
            outside = ((a <= ends[0]) | (a >= ends[1])).sum()
        seen = Outputs(local(output).numel(), *self._sums(output), outside)
        self._seen[layer] = self._seen[layer] + seen if layer in self._seen else seen

    def take(self, layers: Iterable[nn.Module] | None = None) -> dict[nn.Module, Outputs]:
        """What was seen since the last call.

        Args:
            layers: of these alone; what the others have stays. None: of all.
        """
        return taken(self._seen, layers)

    def close(self) -> None:
        """Take the hooks off; what was seen stays."""
        remove(self._hooks)


def mean_and_std(count: float, total: float, squares: float) -> tuple[float, float]:
    """From how many numbers there are, their sum, and their sum of squares.

    Example:
        >>> mean_and_std(4, 8.0, 20.0)
        (2.0, 1.0)
    """
    mean = total / count
    variance = squares / count - mean**2
    return mean, math.sqrt(variance) if variance > 0 else variance * 0  # not finite stays so
