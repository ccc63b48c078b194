"""The correlation of two inputs as a function of depth, and the trainable depth that follows from it.

``E[phi(h) phi(h')]`` of two pre-activations of variance ``q`` and correlation ``c`` is a power series in ``c`` whose
coefficients are the squared Hermite coefficients of the activation (Daniely et al., 2016).
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from gradvitals.theory.gaussian_moments import Act, moment, second_moment
from gradvitals.theory.mean_field import fixed_point
from gradvitals.theory.normalized import batchnorm_gain

DEGREE = 100  # of the series; one more term contains the remainder, so that c = 1 is exact
CRITICAL = 1e-9  # a factor whose logarithm is smaller is taken as 1
STEPS = 10_000


def correlation_map(act: Act, c: float, sigma_w2: float, sigma_b2: float = 0.0, q: float | None = None) -> float:
    """Returns the correlation of two inputs' pre-activations in the next layer.

    Args:
        c: the correlation in this layer, -1 to 1.
        q: variance of the pre-activations; None: that of the fixed point.

    Raises:
        ValueError: the fixed point is 0 or infinite, and ``q`` was not given.

    Example:
        >>> round(correlation_map("relu", 0.0, 2.0), 4)  # Cho & Saul (2009): 1 / pi
        0.3183
    """
    q = fixed_point(act, sigma_w2, sigma_b2)[0] if q is None else q
    if not 0 < q < math.inf:
        raise ValueError(f"q: expected a positive number, because the variance converges to none; got {q}")
    series = _series(act, q)
    return (sigma_w2 * _sum(series, c) + sigma_b2) / (sigma_w2 * float(series.sum()) + sigma_b2)


def correlation_depth(act: Act, sigma_w2: float, sigma_b2: float) -> tuple[float, float]:
    """Returns over how many layers two inputs' difference, and the gradient, change e-fold (Schoenholz et al., 2017).

    Returns:
        ``(xi_c, xi_grad)`` in layers; infinity at criticality.

    Example:
        >>> [round(xi, 2) for xi in correlation_depth("tanh", 1.0, 0.05)]
        [3.63, 3.63]
    """
    q, factor = fixed_point(act, sigma_w2, sigma_b2)
    if factor <= 1 + CRITICAL or math.isinf(q):  # ordered: inputs become equal
        return _depth(factor), _depth(factor)
    series = sigma_w2 / q * _series(act, q)
    return _depth(_slope(series, factor, _fixed_point(series, sigma_b2 / q))), _depth(factor)


def settled_correlation(act: Act, sigma_w2: float, sigma_b2: float) -> float:
    """Returns the correlation to which two different inputs converge: 1 in the ordered phase, less in the chaotic one.

    Example:
        >>> round(settled_correlation("tanh", 4.0, 0.05), 4)
        0.1651
    """
    q, factor = fixed_point(act, sigma_w2, sigma_b2)
    if factor <= 1 + CRITICAL or math.isinf(q):
        return 1.0
    return _fixed_point(sigma_w2 / q * _series(act, q), sigma_b2 / q)


def trainable_depth(act: Act, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Estimates the largest trainable depth, ``6 xi_c`` layers (Schoenholz et al., 2017); infinity at criticality.

    Example:
        >>> round(trainable_depth("tanh", 1.0, 0.05), 1), trainable_depth("relu", 2.0)
        (21.8, inf)
    """
    return 6 * correlation_depth(act, sigma_w2, sigma_b2)[0]


def batchnorm_trainable_depth(act: Act, batch_size: int | None = None) -> float:
    """Estimates the largest trainable depth with BatchNorm: 16 layers per e-fold of the gradient (Yang et al., 2019).

    Example:
        >>> round(batchnorm_trainable_depth("relu", 128), 1)
        40.8
    """
    return 16 * _depth(batchnorm_gain(act, batch_size))


def _depth(factor: float) -> float:
    """Returns the number of layers over which a factor per layer gives e."""
    if factor == 0 or math.isinf(factor):
        return 0.0
    return math.inf if abs(math.log(factor)) < CRITICAL else 1 / abs(math.log(factor))


def _fixed_point(series: Tensor, constant: float) -> float:
    """Returns the smallest fixed point of ``series(c) + constant`` from 0 on, which is below 1 in the chaotic phase."""
    c = 0.0
    for _ in range(STEPS):
        c, before = _sum(series, c) + constant, c
        if abs(c - before) < 1e-13:
            break
    return c


def _slope(series: Tensor, at_one: float, c: float) -> float:
    """Returns the derivative of the series, ``sigma_w2 E[phi'(h) phi'(h')]``, whose value at 1 is known."""
    terms = torch.arange(1, DEGREE) * series[1:DEGREE]
    return _sum(torch.cat([terms, (at_one - terms.sum()).reshape(1)]), c)


def _sum(series: Tensor, c: float) -> float:
    return float(series @ torch.tensor(c, dtype=torch.float64) ** torch.arange(len(series)))


def _series(act: Act, q: float) -> Tensor:
    """Returns the coefficients of ``c ** k``, shape ``(DEGREE + 1,)``; the last one contains the remainder."""
    # A module's series is not cached, because its slopes may be learned.
    return _named_series(act, q) if isinstance(act, str) else _new_series(act, q)


def _new_series(act: Act, q: float) -> Tensor:
    squares = torch.tensor([_hermite_coefficient(act, q, order) for order in range(DEGREE)], dtype=torch.float64) ** 2
    return torch.cat([squares, (second_moment(act, q) - squares.sum()).reshape(1)])


_named_series = lru_cache(maxsize=64)(_new_series)


def _hermite_coefficient(act: Act, q: float, order: int) -> float:
    """Computes ``E[phi(h) He_k(z)] / sqrt(k!)`` with ``h = sqrt(q) z``."""
    he, size = torch.special.hermite_polynomial_he, math.sqrt(math.factorial(order))
    return moment(act, lambda phi, h: phi(h) * he(h / math.sqrt(q), order) / size, q)
