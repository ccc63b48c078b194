"""The gradient noise scale: the batch size above which larger batches hardly help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.vitals.norms import dot, norms, total


@dataclass
class NoiseScale:
    """Estimates the simple gradient noise scale ``tr(S) / |G|^2``, in samples (McCandlish et al., 2018).

    S is the covariance of the gradient of one sample, G the true gradient. The paper compares two batch sizes. Here the
    gradients g1, g2 of two consecutive steps of B samples are compared, between which the weights hardly change:
    ``g1 . g2`` estimates ``|G|^2``, and ``|g1 - g2|^2 B / 2`` estimates tr(S). Both are averaged over pairs before the
    division.

    Attributes:
        keep: decay of the moving averages.
        noise, signal: moving averages of tr(S) and ``|G|^2``; shape ``()``, float64.

    Example:
        >>> scale = NoiseScale()
        >>> scale.add([torch.tensor([1.0, 1.0])], [torch.tensor([1.0, -0.5])], samples=8)
        >>> round(scale.value.item(), 6)  # tr(S) = 1.5 ** 2 * 8 / 2, |G|^2 = 0.5
        18.0
    """

    keep: float = 0.95
    noise: Tensor | float = 0.0
    signal: Tensor | float = 0.0

    def add(self, first: Sequence[Tensor], second: Sequence[Tensor], samples: int) -> None:
        """Adds the gradients of two consecutive steps.

        Args:
            first, second: gradients of the parameters, tensors of equal shapes in the same order.
            samples: number of samples in the batch of each step.
        """
        signal = dot(first, second)
        squares = (total(norms(first)).square() + total(norms(second)).square()) / 2
        # |g1 - g2|^2 / 2 = (|g1|^2 + |g2|^2) / 2 - g1 . g2
        self.noise = self.keep * self.noise + (1 - self.keep) * (squares - signal) * samples
        self.signal = self.keep * self.signal + (1 - self.keep) * signal

    @property
    def value(self) -> Tensor:
        """The noise scale, shape ``()``; negative or huge if noise dominates, nan before the first pair."""
        return torch.as_tensor(self.noise, dtype=torch.float64) / torch.as_tensor(self.signal, dtype=torch.float64)
