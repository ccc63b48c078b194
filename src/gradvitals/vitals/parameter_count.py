"""Counts the parameters and statistics of a network."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Count:
    """The numbers of a network by kind; their total is that of Keras' summary.

    Attributes:
        trained: parameters that require a gradient.
        frozen: parameters that do not.
        statistics: moving means and variances of norms.

    Example:
        >>> Count(trained=21, frozen=3, statistics=6).total
        30
    """

    trained: int
    frozen: int
    statistics: int

    @property
    def total(self) -> int:
        """All of them together."""
        return self.trained + self.frozen + self.statistics


def count(module: nn.Module) -> Count:
    """Counts a network's numbers: shared weights once, and no batch counters (scalars), as in Keras.

    Example:
        >>> counted = count(nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))
        >>> counted, counted.total
        (Count(trained=21, frozen=0, statistics=6), 27)
    """
    sizes = {True: 0, False: 0}
    for parameter in module.parameters():
        sizes[parameter.requires_grad] += parameter.numel()
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
    statistics = sum(buffer.numel() for norm in norms for buffer in norm.buffers() if buffer.ndim)
    return Count(sizes[True], sizes[False], statistics)
