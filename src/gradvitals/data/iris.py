"""Fisher's 150 irises, which scikit-learn contains."""

from __future__ import annotations

from typing import Unpack

import numpy as np
from sklearn.datasets import load_iris

from gradvitals.data.dataset_splits import Splits
from gradvitals.data.tables import classification
from gradvitals.data.tensors import LoaderOptions, TensorDataModule
from gradvitals.tabular.splits import Parts, split_rows

FEATURES = {"all": slice(None), "petal": slice(2, 4), "sepal": slice(0, 2)}


class Iris(TensorDataModule):
    """Three classes; four features in centimeters: sepal length and width, petal length and width.

    Args:
        features: ``all``, ``petal`` or ``sepal``.
        split: False uses all rows for training, validation and test.
        scaling: ``standard`` (training statistics) or ``raw``.
        split_seed: seed of the split.
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
        parts = split_rows(y, seed=self.split_seed) if self.split else Parts(*[np.arange(len(y))] * 3)
        return classification(x[:, FEATURES[self.features]], y, parts, self.scaling)
