"""How many numbers a network holds."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Count:
    """Numbers of a network by kind.

    Attributes:
        trained: parameters that an optimizer may change.
        frozen: parameters that it may not.
        statistics: moving means and variances of norms, which training moves without a gradient.
    """

    trained: int
    frozen: int
    statistics: int

    @property
    def total(self) -> int:
        """All of them together, which is what Keras' summary calls the total."""
        return self.trained + self.frozen + self.statistics


def count(module: nn.Module) -> Count:
    """Count a network's numbers; a weight that several layers share counts once.

    Counters of batches (scalars) are left out, as Keras leaves them out.

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
