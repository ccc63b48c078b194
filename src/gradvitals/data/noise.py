"""Uniform numbers with targets that have nothing to do with them: for studying a network at its start."""

from __future__ import annotations

from typing import Unpack

import torch

from gradvitals.data.tensors import LoaderOptions, Split, Splits, TensorDataModule


class Noise(TensorDataModule):
    """Inputs uniform in [0, 1), standard normal targets: a regression in which there is nothing to learn.

    Args:
        samples: of each of the three parts, drawn one after the other.
        features: of one sample.
        seed: of the draw.
        **loader: see :class:`TensorDataModule`.

    Example:
        >>> Noise().loaded.train.x.shape
        torch.Size([32, 128])
    """

    def __init__(self, samples: int = 32, features: int = 128, seed: int = 0, **loader: Unpack[LoaderOptions]) -> None:
        super().__init__(**loader)
        self.samples, self.features, self.seed = samples, features, seed

    def load(self) -> Splits:
        generator = torch.Generator().manual_seed(self.seed)

        def draw() -> Split:
            x = torch.rand(self.samples, self.features, generator=generator)
            return Split(x, torch.randn(self.samples, generator=generator))

        return Splits(draw(), draw(), draw(), "regression", 1)
