"""Uniform numbers with targets that have nothing to do with them: for studying a network at its start."""

from __future__ import annotations

from typing import Unpack

import torch

from gradvitals.data.tensors import LoaderOptions, Split, Splits, TensorDataModule


class Noise(TensorDataModule):
    """Inputs uniform in [0, 1), standard normal targets: a regression in which there is nothing to learn.

    Args:
        num_samples: of each of the three parts, drawn one after the other.
        num_features: of one sample.
        seed: of the draw; None: torch's own generator goes on.
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
