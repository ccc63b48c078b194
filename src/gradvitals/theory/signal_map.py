"""The signal in a convolutional network: its mean square at each position, and its distribution over channels.

The distribution is a sample of two levels, because a norm over the batch removes what the values of a channel have in
common. A layer with random weights makes it normal; activations, sums and norms change it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gradvitals.theory.gaussian_moments import Act, resolve, slope
from gradvitals.theory.normalized import two_slopes

CHANNELS, VALUES = 128, 128  # of a sample
FINENESS = 0.3  # of the logarithm of the mean square, between values that are interpolated
SMALLEST = 1e-9  # mean square at a position over the largest; anything smaller counts as this
FLAT = 1e-6  # relative range of a map that counts as constant


@dataclass(frozen=True)
class SignalMap:
    """The signal of a tensor ``(batch, channels, *positions)``.

    Attributes:
        square: mean square over batch and channels, float64, ``(*positions)``.
        sample: values of some channels, ``(CHANNELS, VALUES)``, float64, with mean square 1.
    """

    square: Tensor
    sample: Tensor

    @property
    def mean_square(self) -> float:
        return self.square.mean().item()

    @property
    def common(self) -> float:
        """The mean over channels of the square of a channel's mean."""
        return self.mean_square * self.sample.mean(1).square().mean().item()

    @property
    def values(self) -> Tensor:
        return math.sqrt(self.mean_square) * self.sample


class Sampler:
    """Draws the samples of one network, from a random generator of its own.

    Example:
        >>> signal = Sampler().normal(torch.tensor([4.0, 12.0]), common=2.0)
        >>> round(signal.mean_square, 6), round(signal.common, 2)
        (8.0, 2.0)
    """

    def __init__(self) -> None:
        self._generator = torch.Generator().manual_seed(0)
        self._offsets, values = _quantiles(CHANNELS), _quantiles(VALUES)
        self._values = values.repeat(CHANNELS)[self.order()].reshape(CHANNELS, VALUES)

    def normal(self, square: Tensor, common: float, variances: Tensor | None = None) -> SignalMap:
        """Returns a signal of normal channels, whose means have the variance ``common``.

        Args:
            variances: of some channels about their means, in any unit; None: all are equal.
        """
        share = min(max(common / square.mean().item(), 0.0), 1.0) if square.mean() > 0 else 0.0
        values = self._values
        if variances is not None and variances.mean() > 0:
            rows = torch.arange(CHANNELS) % len(variances)
            values = values * (variances[rows] / variances[rows].mean()).sqrt()[:, None]
        return SignalMap(square, math.sqrt(share) * self._offsets[:, None] + math.sqrt(1 - share) * values)

    def order(self) -> Tensor:
        """Returns an order of a sample's values, which stay in their channel: shape ``(CHANNELS * VALUES,)``."""
        rows = torch.randperm(CHANNELS, generator=self._generator)
        columns = torch.rand(CHANNELS, VALUES, generator=self._generator).argsort(1)
        return (rows[:, None] * VALUES + columns).flatten()


def added(a: SignalMap, b: SignalMap, order: Tensor) -> SignalMap:
    """Returns the sum of two signals that are independent but for their means; ``order`` is that of ``b``'s values."""
    values = a.values + b.values.flatten()[order].reshape(CHANNELS, VALUES)
    crossed = 2 * a.sample.mean().item() * b.sample.mean().item() * (a.square * b.square).sqrt()
    return from_values(a.square + b.square + crossed, values)


def from_values(square: Tensor, values: Tensor) -> SignalMap:
    """Returns a signal of this mean square by position, whose distribution is that of some values."""
    size = values.square().mean().sqrt()
    return SignalMap(square, values / size if size > 0 else torch.zeros_like(values))


def after_act(act: Act | None, signal: SignalMap) -> SignalMap:
    """Returns the signal behind an activation.

    Example:
        >>> relu = after_act("relu", Sampler().normal(torch.ones(2, dtype=torch.float64), 0.0))
        >>> [round(square, 2) for square in relu.square.tolist()], round(relu.common, 2)  # 1 / 2, 1 / (2 pi)
        ([0.5, 0.5], 0.16)
    """
    phi = resolve(act)[0]
    values = phi(signal.values).detach()
    if two_slopes(act):
        square = signal.square * (values.square().mean() / signal.mean_square if signal.mean_square else 0.0)
    else:
        square = _by_position(lambda h: phi(h).detach().square().mean().item(), signal)
    return from_values(square, values)


def slopes(act: Act | None, signal: SignalMap) -> tuple[Tensor, Tensor]:
    """Returns the square of the activation's slope: its mean by position, and that at each value of the sample.

    Example:
        >>> by_position, by_value = slopes("relu", Sampler().normal(torch.tensor([1.0, 4.0]), 0.0))
        >>> by_position.tolist(), by_value.unique().tolist()
        ([0.5, 0.5], [0.0, 1.0])
    """
    phi = resolve(act)[0]
    by_value = slope(phi, signal.values).square()
    if two_slopes(act):
        return by_value.mean().expand_as(signal.square), by_value
    return _by_position(lambda h: slope(phi, h).square().mean().item(), signal), by_value


def normalized(signal: SignalMap, eps: float) -> tuple[SignalMap, Tensor]:
    """Returns the signal behind a norm over batch and positions, and its factor on each value's squared gradient.

    Example:
        >>> after, factor = normalized(Sampler().normal(torch.tensor([4.0, 4.0]), common=3.0), 0.0)
        >>> round(after.mean_square, 6), round(after.common, 6), round(factor.mean().item(), 2)
        (1.0, 0.0, 1.0)
    """
    values = signal.values
    variance = values.var(1, unbiased=False, keepdim=True) + eps
    after = (values - values.mean(1, keepdim=True)) / variance.sqrt()
    # About the channel's mean over all positions; near a border of zeros the mean is smaller, as the values are.
    share = signal.sample.mean(1).square().mean()
    square = (1 - share) * signal.square + ((share * signal.square).sqrt() - math.sqrt(signal.common)).square()
    total = square.mean()
    level = after.square().mean() / total if total > 0 else total
    return from_values(square * level, after), variance.reciprocal().expand_as(values)


def scaled(signal: SignalMap, factor: float) -> SignalMap:
    """Returns a signal multiplied by a number."""
    return replace(signal, square=factor**2 * signal.square, sample=math.copysign(1, factor) * signal.sample)


def _by_position(of: Callable[[Tensor], float], signal: SignalMap) -> Tensor:
    """Returns a mean over the sample at the mean square of each position, interpolated between some sizes."""
    largest = signal.square.max()
    if not 0 < largest < math.inf:
        return torch.full_like(signal.square, of(signal.values))
    logs = signal.square.clamp(min=SMALLEST * largest.item()).log()
    low, high = logs.min().item(), logs.max().item()
    if high - low < FLAT:
        return torch.full_like(signal.square, of(math.exp(low / 2) * signal.sample))
    number = 2 + math.ceil((high - low) / FINENESS)
    sizes = torch.linspace(low, high, number, dtype=torch.float64)
    known = torch.tensor([of(size * signal.sample) for size in (sizes / 2).exp().tolist()], dtype=torch.float64)
    place = (logs - low) / (high - low) * (number - 1)
    left = place.floor().clamp(max=number - 2).long()
    if known.min() > 0:  # powers of the size, such as a rectifier's, are exact in the logarithm
        return torch.lerp(known[left].log(), known[left + 1].log(), place - left).exp()
    return torch.lerp(known[left], known[left + 1], place - left)


def _quantiles(number: int) -> Tensor:
    """Returns equally likely values of a standard normal, with mean square 1."""
    levels = (torch.arange(number, dtype=torch.float64) + 0.5) / number
    found = torch.special.ndtri(levels)
    result: Tensor = found / found.square().mean().sqrt()
    return result
