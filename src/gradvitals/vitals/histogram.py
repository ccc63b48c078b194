"""Histograms of the finite entries of a tensor."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.vitals.norms import local


@dataclass(frozen=True)
class Histogram:
    """Counts of the finite entries of a tensor, and the number of entries that are not finite.

    Attributes:
        edges: of the bins, ascending, one more than there are bins.
        counts: entries in each bin.
        non_finite: entries in none.

    Example:
        >>> histogram(torch.ones(3), bins=1)
        Histogram(edges=[0.5, 1.5], counts=[3.0], non_finite=0)
    """

    edges: list[float]
    counts: list[float]
    non_finite: int


def histogram(tensor: Tensor, bins: int = 64) -> Histogram:
    """Counts a tensor's finite entries in bins of equal width between their extremes. Waits for the device.

    Args:
        tensor: of any shape.
        bins: how many.

    Example:
        >>> found = histogram(torch.tensor([0.0, 1.0, 1.0, float("nan")]), bins=2)
        >>> found.edges, found.counts, found.non_finite
        ([0.0, 0.5, 1.0], [1.0, 2.0], 1)
    """
    values = local(tensor.detach()).flatten()
    finite = values[values.isfinite()].float()
    if not len(finite):
        return Histogram([0.0, 1.0], [0.0], len(values))
    low, high = finite.min().item(), finite.max().item()
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(finite, bins, low, high).tolist()
    edges = torch.linspace(low, high, bins + 1, dtype=torch.float64).tolist()
    return Histogram(edges, counts, len(values) - len(finite))
