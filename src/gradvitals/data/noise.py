"""Uniform inputs with random targets, for studying a network at initialization."""

from __future__ import annotations

from typing import Unpack

import torch

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.tensors import LoaderOptions, TensorDataModule


class Noise(TensorDataModule):
    """A regression that cannot be learned: inputs uniform in [0, 1), independent standard normal targets.

    Args:
        num_samples: samples of each split.
        num_features: features of one sample.
        seed: seed of the data; None uses torch's global generator.
        **loader: see :class:`TensorDataModule`.

    Example:
        >>> Noise().loaded.train.x.shape
        torch.Size([32, 128])
    """

    def __init__(
        self, num_samples: int = 32, num_features: int = 128, seed: int | None = 0, **loader: Unpack[LoaderOptions]
    ) -> None:
        super().__init__(**loader)
        self.num_samples, self.num_features, self.seed = num_samples, num_features, seed

    def load(self) -> Splits:
        generator = None if self.seed is None else torch.Generator().manual_seed(self.seed)

        def draw() -> Split:
            x = torch.rand(self.num_samples, self.num_features, generator=generator)
            return Split(x, torch.randn(self.num_samples, generator=generator))

        return Splits(draw(), draw(), draw(), "regression", 1)
