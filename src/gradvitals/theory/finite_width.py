"""Finite width: how much single networks differ from the expectation for wide ones."""

from __future__ import annotations

import math

import torch

from gradvitals.theory.gaussian_moments import Act, slope_moment


def born_dead(width: int, depth: int) -> float:
    """Returns the probability that some layer of a ReLU net without biases is all zero for an input.

    It is exact for symmetric weights and one input, and an upper bound for a whole data set (Lu et al., 2020).

    Example:
        >>> round(born_dead(2, 10), 4)
        0.9437
    """
    return -math.expm1(depth * math.log1p(-(0.5**width))) if width > 0 else 1.0


def relu_log_moments(width: int) -> tuple[float, float]:
    """Returns mean and variance of ``log(|dL/dh_l|^2 / |dL/dh_{l+1}|^2)`` of one sample for ReLU with He's weights.

    The layers have equal widths. The ratio is ``2 / n`` times a chi-square with one degree of freedom per active unit,
    whose number is binomial; layers without active units are excluded. The results are about ``-5 / (2n)`` and
    ``5 / n``: a typical gradient shrinks although its mean square does not (Hanin & Rolnick, 2018).

    Example:
        >>> mean, variance = relu_log_moments(16)
        >>> round(mean, 4), round(variance, 4)
        (-0.1764, 0.4196)
    """
    k = torch.arange(1, width + 1, dtype=torch.float64)
    n = torch.tensor(float(width), dtype=torch.float64)
    weights = torch.softmax(torch.lgamma(n + 1) - torch.lgamma(k + 1) - torch.lgamma(n - k + 1), 0)
    log_chi2 = torch.digamma(k / 2) + math.log(2)
    mean = float(weights @ log_chi2)
    variance = float(weights @ (log_chi2 - mean) ** 2 + weights @ torch.polygamma(1, k / 2))
    return mean + math.log(2 / width), variance


def kurtosis(act: Act | None, q: float = 1.0) -> float:
    """Computes ``E[phi'^4] / E[phi'^2]^2``: 1 for a constant slope, 2 for ReLU.

    Example:
        >>> round(kurtosis("relu"), 6)
        2.0
    """
    second = slope_moment(act, q)
    return slope_moment(act, q, power=4) / second / second if second else math.nan  # a square may overflow


def log_scatter(act: Act | None, q: float, width: int) -> float:
    """Estimates the standard deviation of ``log(|dL/dh_l|^2 / |dL/dh_{l+1}|^2)`` of one sample, for Gaussian weights.

    It is ``sqrt((3 kurtosis - 1) / n)``, from sums of ``n`` squared normals times squared slopes (derived here;
    ``sqrt(5 / n)`` for ReLU). It is of first order in ``1 / n``, with errors below 5 % from width 64 on. The total over
    a batch of different samples scatters less.

    Example:
        >>> round(log_scatter("relu", 1.0, 500), 6)
        0.1
    """
    return math.sqrt((3 * kurtosis(act, q) - 1) / width)
