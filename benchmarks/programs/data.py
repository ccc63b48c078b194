"""Rows of the programs; what is not public has a stand-in of the same shape and scale."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from plan import Split
from sklearn.datasets import load_digits, load_iris, make_multilabel_classification
from torch import Tensor

TEST = 500


def split(x: Tensor, y: Tensor, test: int = TEST) -> Split:
    """The last rows are held out."""
    return Split((x[:-test], y[:-test]), (x[-test:], y[-test:]))


def shuffled(x: Tensor, y: Tensor, test: int) -> Split:
    """Rows in random order, some held out."""
    order = torch.randperm(len(x))
    return split(x[order], y[order], test)


def standardized(rows: Split, inputs: bool = True, targets: bool = False) -> Split:
    """Brings columns to mean 0 and variance 1, by the training rows."""
    (x, y), (u, v) = rows.train, rows.test
    if inputs:
        mean, std = x.mean(0), x.std(0).clamp_min(1e-6)
        x, u = (x - mean) / std, (u - mean) / std
    if targets:
        mean, std = y.mean(0), y.std(0)
        y, v = (y - mean) / std, (v - mean) / std
    return Split((x, y), (u, v))


@cache
def _digits() -> tuple[Tensor, Tensor]:
    images, labels = load_digits(return_X_y=True)
    return torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)


def digits(scale: float = 1.0) -> Split:
    """8 x 8 digits as 64 numbers in 0..scale."""
    x, y = _digits()
    return shuffled(x * scale, y, 360)


def pictures(size: int = 14, scale: float = 1.0) -> Split:
    """The stand-in for MNIST: digits of (1, size, size), in 0..scale."""
    x, y = _digits()
    x = F.interpolate(x.reshape(-1, 1, 8, 8), size=(size, size), mode="bilinear")
    return shuffled(x * scale, y, 360)


def iris() -> Split:
    """The 150 flowers in centimeters."""
    x, y = load_iris(return_X_y=True)
    return shuffled(torch.tensor(x, dtype=torch.float32), torch.tensor(y), 50)


def multilabel(rows: int = 5000) -> Split:
    """Three labels that are not exclusive, of 20 counts."""
    x, y = make_multilabel_classification(rows + TEST, 20, n_classes=3, random_state=np.random.randint(1 << 30))
    return split(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))


def table(rows: int, scales: list[float], n_classes: int = 2, test: int = TEST) -> Split:
    """Classes of a table whose positive columns have the given scales; a mixture that is nearly separable."""
    z = torch.randn(rows + test, len(scales))
    weights = torch.randn(len(scales), n_classes)
    y = (z @ weights + 0.3 * torch.randn(rows + test, n_classes)).argmax(1)
    x = (z / 4).exp() * torch.tensor(scales)
    return split(x, y, test)


def words(rows: int, n_words: int, n_classes: int) -> Split:
    """The stand-in for reviews and news: words that are there or not, more often in some class."""
    y = torch.randint(n_classes, (rows + TEST,))
    rate = (torch.rand(n_classes, n_words) ** 6) * 0.4
    return split((torch.rand(rows + TEST, n_words) < rate[y]).float(), y)


def linear_prices(rows: int) -> Split:
    """y = 2a + b + c/2 + 2.2 of numbers up to 10,000."""
    x = torch.rand(rows + TEST, 3) * 1e4
    return split(x, (x @ torch.tensor([2.0, 1.0, 0.5]) + 2.2)[:, None])


def smooth(rows: int, n_inputs: int, scale: float = 1.0, inputs: float = 1.0, offset: float = 0.0) -> Split:
    """Regression: a smooth function of uniform inputs."""
    x = torch.rand(rows + TEST, n_inputs) * 2 - 1
    y = (x.sum(1) / n_inputs**0.5 + 0.5 * torch.sin(3 * x[:, 0]))[:, None]
    return split(x * inputs, y * scale + offset)


def faces(rows: int) -> Split:
    """The stand-in for 96 x 96 faces in 0..1 with 30 coordinates in -1..1: both depend on 12 hidden factors."""
    factors = torch.randn(rows + TEST, 12)
    maps = F.interpolate(torch.randn(12, 1, 6, 6), size=(96, 96), mode="bicubic").reshape(12, -1)
    x = (0.45 + 0.05 * factors @ maps + 0.02 * torch.randn(rows + TEST, 9216)).clamp(0, 1)
    return split(x, (0.06 * factors @ torch.randn(12, 30)).clamp(-1, 1))


def life(boards: int, size: int = 12) -> Split:
    """Boards of the Game of Life, and the next ones."""
    x = (torch.rand(boards + TEST, 1, size, size) < 0.5).float()
    around = F.conv2d(x, torch.ones(1, 1, 3, 3), padding=1) - x
    return split(x, ((around == 3) | ((around == 2) & (x == 1))).float())


def series(rows: int, length: int, n_inputs: int, scale: float) -> Split:
    """Sums of walks, which a recurrent net can add up."""
    x = torch.randn(rows + TEST, length, n_inputs).cumsum(1) * scale
    y = (x[:, -3:].mean((1, 2)) / scale)[:, None]
    return split(x, y / y.std())


def first_row(rows: int, length: int = 10, n_inputs: int = 4) -> Split:
    """Sequences of noise whose first row says the class."""
    x = torch.randn(rows + TEST, length, n_inputs)
    return split(x, x[:, 0].argmax(1))
