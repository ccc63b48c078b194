"""Fisher's 150 irises, which ship inside scikit-learn."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from sklearn.datasets import load_iris

from gradvitals.data.tables import classification, split_rows
from gradvitals.data.tensors import LoaderOptions, Splits, TensorDataModule

FEATURES = {"all": slice(None), "petal": slice(2, 4), "sepal": slice(0, 2)}


class Iris(TensorDataModule):
    """Three classes; four features in centimetres: sepal length and width, petal length and width.

    Args:
        features: ``all``, ``petal`` or ``sepal``.
        split: False: all rows train, validate and test, as a fit without held-out rows does.
        scaling: ``standard`` (training statistics) or ``raw``.
        split_seed: of the split alone.
        **loader: see :class:`TensorDataModule`.

    Example:
        >>> Iris(features="petal").loaded.train.x.shape
        torch.Size([105, 2])
    """

    def __init__(
        self,
        features: str = "all",
        split: bool = True,
        scaling: str = "standard",
        split_seed: int = 0,
        **loader: Unpack[LoaderOptions],
    ) -> None:
        super().__init__(**loader)
        if features not in FEATURES:
            raise ValueError(f"data.features: expected one of {', '.join(FEATURES)}; got {features!r}")
        self.features, self.split, self.scaling, self.split_seed = features, split, scaling, split_seed

    def load(self) -> Splits:
        x, y = load_iris(return_X_y=True)
        everything = np.arange(len(y))
        parts = split_rows(y, seed=self.split_seed) if self.split else (everything,) * 3
        return classification(x[:, FEATURES[self.features]], y, parts, self.scaling)
