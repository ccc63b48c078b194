"""Two synthetic data sets in the plane, from published studies of training problems (Zhang et al., 2021).

The first 700 rows are for training, the last 300 for validation and test; nothing is scaled.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import make_blobs, make_circles

from gradvitals.data.dataset_splits import Splits
from gradvitals.data.tables import classification
from gradvitals.data.tensors import TensorDataModule
from gradvitals.tabular.splits import Parts

TRAIN_ROWS = 700


def _first_rows_train(x: NDArray, y: NDArray) -> Splits:
    train, rest = np.arange(TRAIN_ROWS), np.arange(TRAIN_ROWS, len(y))
    return classification(x, y, Parts(train, rest, rest), scaling="raw")


class Circles(TensorDataModule):
    """Two rings, one inside the other: binary, 1,000 rows.

    Example:
        >>> Circles().loaded.task
        'binary'
    """

    def load(self) -> Splits:
        return _first_rows_train(*make_circles(1000, noise=0.1, random_state=1))


class Blobs(TensorDataModule):
    """Three overlapping clouds: multiclass, 1,000 rows.

    Example:
        >>> Blobs().loaded.num_classes
        3
    """

    def load(self) -> Splits:
        return _first_rows_train(*make_blobs(1000, centers=3, n_features=2, cluster_std=2, random_state=2))
