"""Scales tables of numbers by statistics of the training rows, and builds their splits."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.preprocessing import StandardScaler

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.tabular.splits import Parts

SCALINGS = ("standard", "raw")


def scale(train: NDArray, *others: NDArray, scaling: str = "standard", together: bool = False) -> list[NDArray]:
    """Scales features to mean 0 and standard deviation 1 over the training rows.

    Args:
        train: ``(rows, features)``.
        *others: other rows, to which the same shift and factor are applied.
        scaling: ``standard``, or ``raw`` for no scaling.
        together: whether all features share one mean and deviation, as pixels should: a pixel that is nearly always
            dark would otherwise get huge values.

    Example:
        >>> scale(np.array([[1.0], [3.0]]), np.array([[5.0]]))[1].tolist()
        [[3.0]]
    """
    if scaling not in SCALINGS:
        raise ValueError(f"data.scaling: expected one of {', '.join(SCALINGS)}; got {scaling!r}")
    if scaling == "raw":
        return [train, *others]
    if together:
        return [(part - train.mean()) / train.std() for part in (train, *others)]
    scaler = StandardScaler().fit(train)
    return [scaler.transform(part) for part in (train, *others)]


def tensors(x: NDArray, y: NDArray, task: str) -> Split:
    """Converts arrays to a :class:`Split`."""
    target_type = torch.float32 if task == "regression" else torch.int64
    return Split(torch.as_tensor(np.asarray(x), dtype=torch.float32), torch.as_tensor(np.asarray(y), dtype=target_type))


def classification(
    x: NDArray,
    y: NDArray,
    parts: Parts,
    scaling: str = "standard",
    together: bool = False,
    in_shape: tuple[int, ...] = (),
) -> Splits:
    """Builds the splits of ``x`` ``(rows, features)`` and labels 0 ... K-1 from their row numbers."""
    num_classes = int(y.max()) + 1
    task = "binary" if num_classes == 2 else "multiclass"
    scaled = scale(*(x[rows] for rows in parts), scaling=scaling, together=together)
    train, val, test = (tensors(xs, y[rows], task) for xs, rows in zip(scaled, parts, strict=True))
    return Splits(train, val, test, task, num_classes, in_shape=in_shape)
