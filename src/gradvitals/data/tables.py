"""Tables of numbers: splitting and scaling them with what the training rows know."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

from gradvitals.data.tensors import Split, Splits

SCALINGS = ("standard", "raw")


def split_rows(
    y: NDArray, *, val: float = 0.1, test: float = 0.2, seed: int = 0, stratify: bool = True
) -> tuple[NDArray, NDArray, NDArray]:
    """Row numbers of the three parts, each class in the same proportion.

    Args:
        y: targets ``(rows,)``.
        val, test: fractions of all rows.
        seed: of the split alone, so that runs of different seeds are tested on the same rows.
        stratify: keep the classes' proportions; a class of fewer than two rows is then an error.

    Example:
        >>> [len(part) for part in split_rows(np.arange(100) % 2)]
        [70, 10, 20]
    """
    rows = np.arange(len(y))
    try:
        rest, last = train_test_split(rows, test_size=test, random_state=seed, stratify=y if stratify else None)
        train, middle = train_test_split(
            rest, test_size=val / (1 - test), random_state=seed, stratify=y[rest] if stratify else None
        )
    except ValueError as error:
        raise ValueError(f"{_too_few(y)} ({error})") from None
    if min(len(train), len(middle), len(last)) < 2:
        raise ValueError(_too_few(y))
    return train, middle, last


def _too_few(y: NDArray) -> str:
    return f"data: expected rows enough for training, validation and test of 2 or more each; got {len(y)} rows"


def scale(train: NDArray, *others: NDArray, scaling: str = "standard", together: bool = False) -> list[NDArray]:
    """Features with mean 0 and standard deviation 1 over the training rows; other rows by the same shift and factor.

    Args:
        train: ``(rows, features)``.
        *others: of the same features.
        scaling: ``standard``, or ``raw`` to leave them as they are.
        together: one mean and deviation for all features, as pixels want it: a pixel that is nearly always dark would
            otherwise be blown up.

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
    """Arrays as the tensors that a :class:`Split` holds."""
    target_type = torch.float32 if task == "regression" else torch.int64
    return Split(torch.as_tensor(np.asarray(x), dtype=torch.float32), torch.as_tensor(np.asarray(y), dtype=target_type))


def classification(
    x: NDArray, y: NDArray, parts: tuple[NDArray, NDArray, NDArray], scaling: str = "standard", together: bool = False
) -> Splits:
    """Splits of a classification of ``x`` ``(rows, features)``, labels 0 ... K-1, by row numbers."""
    num_classes = int(y.max()) + 1
    task = "binary" if num_classes == 2 else "multiclass"
    scaled = scale(*(x[rows] for rows in parts), scaling=scaling, together=together)
    train, val, test = (tensors(xs, y[rows], task) for xs, rows in zip(scaled, parts, strict=True))
    return Splits(train, val, test, task, num_classes)
