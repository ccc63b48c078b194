"""Statistics of activations' outputs: mean, standard deviation, saturated fraction."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import Hooked, on_forward, taken
from gradvitals.vitals.norms import local, sums

# An output is saturated where the activation's slope is below 5 % of its maximum. As a function of the output a, the
# relative slope is a(1 - a) / .25 for sigmoid, 1 - a^2 for tanh, (1 - |a|)^2 for softsign, exp(-x^2) for a = erf(x).
SATURATED: dict[str, tuple[float, float]] = {
    "Sigmoid": (0.5 - 0.95**0.5 / 2, 0.5 + 0.95**0.5 / 2),
    "Tanh": (-(0.95**0.5), 0.95**0.5),
    "Softsign": (0.05**0.5 - 1, 1 - 0.05**0.5),
    "Erf": (-0.98562, 0.98562),
}
NOT_PER_UNIT = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.Softmin, nn.Softmax2d)


def is_activation(module: nn.Module) -> bool:
    """Returns whether a module is one of torch's activations, or a user's with a true attribute ``is_activation``.

    Example:
        >>> is_activation(nn.Tanh()), is_activation(nn.Linear(2, 2))
        (True, False)
    """
    is_torchs = type(module).__module__ == nn.modules.activation.__name__ and not isinstance(module, NOT_PER_UNIT)
    return is_torchs or getattr(module, "is_activation", False)


def bounds(activation: nn.Module) -> tuple[float, float] | None:
    """Returns the bounds at or beyond which the outputs of an ``activation`` are saturated; None if it never is.

    Example:
        >>> bounds(nn.Hardtanh(-2, 2)), bounds(nn.ReLU())
        ((-2, 2), None)
    """
    if isinstance(activation, nn.Hardtanh):
        return activation.min_val, activation.max_val
    return SATURATED.get(type(activation).__name__)


class Attribution:
    """Attributes each activation's output to the layer that was called last before it.

    Many layers may share an activation, and several activations may follow a layer. Passes without gradients
    (validation, the first pass of a checkpointed block) do not count.

    Args:
        record: called with the layer, the activation and its output.
    """

    def __init__(self, record: Callable[[nn.Module, nn.Module, Tensor], None]) -> None:
        self._record = record
        self._layer: nn.Module | None = None

    def layer_called(self, layer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        self._layer = layer

    def activation_called(
        self, activation: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any
    ) -> None:
        if self._layer is not None and isinstance(output, Tensor) and torch.is_grad_enabled():
            self._record(self._layer, activation, output)


@dataclass
class Outputs:
    """Sums over the outputs of the activations that follow a layer.

    Attributes:
        count: how many numbers there are.
        sum, squares: their sum and sum of squares; shape ``()``, float64.
        outside: how many are saturated; None if the activation does not saturate.

    Example:
        >>> one = Outputs(1, torch.tensor(2.0), torch.tensor(4.0), None)
        >>> (one + one).count, (one + one).squares
        (2, tensor(8.))
    """

    count: int
    sum: Tensor
    squares: Tensor
    outside: Tensor | None

    def __add__(self, other: Outputs) -> Outputs:
        outside = None if self.outside is None or other.outside is None else self.outside + other.outside
        return Outputs(self.count + other.count, self.sum + other.sum, self.squares + other.squares, outside)


class ActivationStatistics(Hooked):
    """Sums the outputs of the activations that follow each layer.

    Args:
        layers: the modules to which outputs are attributed.
        activations: the modules whose outputs are summed.
        sums: computes sum and sum of squares of a tensor, float64.

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
        self._outputs: dict[nn.Module, Outputs] = {}
        self._sums = sums
        self.attribution = Attribution(self._record)
        self._hooks = on_forward(layers, self.attribution.layer_called)
        self._hooks += on_forward(activations, self.attribution.activation_called)

    def _record(self, layer: nn.Module, activation: nn.Module, output: Tensor) -> None:
        ends, outside = bounds(activation), None
        if ends is not None:
            a = local(output.detach())
            outside = ((a <= ends[0]) | (a >= ends[1])).sum()
        outputs = Outputs(local(output).numel(), *self._sums(output), outside)
        self._outputs[layer] = self._outputs[layer] + outputs if layer in self._outputs else outputs

    def take(self, layers: Iterable[nn.Module] | None = None) -> dict[nn.Module, Outputs]:
        """Returns the sums since the last call by layer, of these layers or of all, and forgets them."""
        return taken(self._outputs, layers)


def mean_and_std(count: float, total: float, squares: float) -> tuple[float, float]:
    """Returns mean and standard deviation of ``count`` numbers, from their sum ``total`` and their sum of ``squares``.

    Example:
        >>> mean_and_std(4, 8.0, 20.0)
        (2.0, 1.0)
    """
    mean = total / count
    variance = squares / count - mean**2
    return mean, math.sqrt(variance) if variance > 0 else variance * 0  # nan stays nan
