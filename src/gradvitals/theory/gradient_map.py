"""The squared gradient in a convolutional network: by position, and by the value of the signal that it belongs to.

Where no weights are between two activations, as along a shortcut, both cut the gradient of the same values: it is
larger where the signal is. Weights make it equal for all values of a channel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.theory.signal_map import CHANNELS, VALUES, SignalMap

BINS = 32  # of equally many values


@dataclass(frozen=True)
class GradientMap:
    """The squared gradient of a tensor ``(batch, channels, *positions)``, summed over batch and channels.

    Attributes:
        square: by position, float64, ``(*positions)``.
        shares: of each value of the signal's sample, ``(CHANNELS, VALUES)``, with mean 1.
    """

    square: Tensor
    shares: Tensor

    @classmethod
    def even(cls, square: Tensor) -> GradientMap:
        """Returns a gradient that is the same for all values, as weights leave it."""
        return cls(square, torch.ones(CHANNELS, VALUES, dtype=torch.float64))

    @property
    def total(self) -> float:
        return self.square.sum().item()

    def times(self, by_position: Tensor, by_value: Tensor) -> GradientMap:
        """Returns the gradient multiplied by the square of a slope.

        Args:
            by_position: mean over values, of the shape of the map or a scalar.
            by_value: the slope's square for each value of the sample.

        Example:
            >>> half = torch.zeros(CHANNELS, VALUES, dtype=torch.float64)
            >>> half[:, ::2] = 1.0
            >>> once = GradientMap.even(torch.ones(1)).times(torch.tensor(0.5), half)
            >>> once.total, once.times(torch.tensor(0.5), half).total  # the same values again: nothing more is lost
            (0.5, 0.5)
        """
        shares = self.shares * by_value
        mean, alone = shares.mean(), by_value.mean()
        if not mean > 0 or not alone > 0:
            return GradientMap.even(torch.zeros_like(self.square))
        return GradientMap(self.square * by_position * (mean / alone), shares / mean)

    def by_channel(self, number: int) -> Tensor:
        """Returns the share of each of the first channels, of this number in all: mean over its rows of the sample."""
        rows = self.shares.mean(1)
        used = min(number, CHANNELS)
        sums = torch.zeros(used, dtype=torch.float64).index_add_(0, torch.arange(CHANNELS) % used, rows)
        return sums / torch.bincount(torch.arange(CHANNELS) % used)


def chosen(signal: SignalMap, given: Tensor, maxima: Tensor) -> Tensor:
    """Returns how much more often than others each value of a signal's sample is the largest of its window.

    Args:
        given, maxima: measured values before and after the maximum, in any unit.

    Example:
        >>> values = torch.arange(8.0, dtype=torch.float64)
        >>> sample = SignalMap(torch.ones(()), values / values.square().mean().sqrt())
        >>> chosen(sample, values, values[4:]).tolist()  # the upper half
        [0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0, 2.0]
    """
    size = given.square().mean().sqrt()
    levels = torch.linspace(0, 1, BINS + 1, dtype=torch.float64)[1:-1]
    edges = given.flatten().quantile(levels).unique() / size
    counts = [
        torch.bincount(torch.bucketize(v.flatten() / size, edges), minlength=len(edges) + 1) for v in (given, maxima)
    ]
    before, after = (count.double() / count.sum() for count in counts)
    shares = (after / before.clamp(min=1e-9) * (before > 0))[torch.bucketize(signal.sample, edges)]
    return shares / shares.mean() if shares.mean() > 0 else torch.ones_like(shares)


def joined(gradients: Sequence[GradientMap]) -> GradientMap:
    """Returns the sum of independent gradients of one tensor."""
    square = torch.stack([gradient.square for gradient in gradients]).sum(0)
    total = square.sum().item()
    if len(gradients) == 1 or not total > 0:
        return gradients[0] if total > 0 else GradientMap.even(square)
    shares = torch.stack([gradient.total / total * gradient.shares for gradient in gradients]).sum(0)
    return GradientMap(square, shares)
