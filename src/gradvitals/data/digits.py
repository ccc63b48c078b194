"""1,797 handwritten digits of 8 x 8 pixels, which scikit-learn contains: no download, no files."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray
from sklearn import datasets

from gradvitals.data.dataset_splits import Splits
from gradvitals.data.tables import classification
from gradvitals.data.tensors import LoaderOptions, TensorDataModule
from gradvitals.tabular.splits import split_rows

IMAGE = (1, 8, 8)  # channels, height and width
STEPS = {"rows": 8, "pixels": 64}


class Digits(TensorDataModule):
    """Ten classes, 64 features; a stratified tenth validates, a fifth tests.

    Args:
        scaling: ``standard`` (training statistics) or ``raw`` (0 to 16).
        split_seed: seed of the split.
        **loader: see :class:`TensorDataModule`.

    Example:
        >>> Digits().loaded.train.x.shape
        torch.Size([1257, 64])
    """

    def __init__(self, scaling: str = "standard", split_seed: int = 0, **loader: Unpack[LoaderOptions]) -> None:
        super().__init__(**loader)
        self.scaling, self.split_seed = scaling, split_seed

    def load(self) -> Splits:
        x, y = load_digits()
        parts = split_rows(y, seed=self.split_seed)
        return classification(x, y, parts, self.scaling, together=True, in_shape=IMAGE)


@cache
def load_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Returns pixels ``(1797, 64)`` and labels, which the jobs of a sweep in one process share: do not change them."""
    x, y = datasets.load_digits(return_X_y=True)
    return x, y


class SequentialDigits(Digits):
    """The digits read as sequences: 8 steps of a row of 8 pixels, or 64 steps of one pixel.

    Args:
        read: ``rows`` or ``pixels``.
        scaling, split_seed, **loader: see :class:`Digits`.

    Example:
        >>> SequentialDigits(read="pixels").loaded.train.x.shape
        torch.Size([1257, 64, 1])
    """

    def __init__(self, read: str = "rows", **digits: Any) -> None:
        super().__init__(**digits)
        if read not in STEPS:
            raise ValueError(f"data.read: expected one of {', '.join(STEPS)}; got {read!r}")
        self.read = read

    def load(self) -> Splits:
        splits, steps = super().load(), STEPS[self.read]
        parts = (splits.train, splits.val, splits.test)
        train, val, test = (replace(part, x=part.x.unflatten(1, (steps, -1))) for part in parts)
        return replace(splits, train=train, val=val, test=test, in_shape=())
