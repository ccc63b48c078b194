"""The growth of the gradient in plain nets with normalization, which the size of the weights does not change."""

from __future__ import annotations

import math

import torch

from gradvitals.theory.gaussian_moments import Act, mean, resolve, second_moment, slope_moment

POSITIONS = ("pre", "post")


def batchnorm_gain(act: Act, batch_size: int | None = None) -> float:
    """Returns the growth of the squared gradient per layer of linear, BatchNorm, activation, which is at least 1.

    For large batches it is ``E[phi'^2] / Var[phi]`` at variance 1; for finite ones theorem 8 of Yang et al. (2019), for
    piecewise linear activations with a kink at 0. Nets should be a few times wider than the batch.

    Args:
        batch_size: number of samples that are normalized together, at least 4; None: many.

    Raises:
        ValueError: a finite batch with another activation, or fewer than 4 samples.

    Example:
        >>> round(batchnorm_gain("relu"), 4), round(batchnorm_gain("relu", 32), 4)  # the former is pi / (pi - 1)
        (1.4669, 1.522)
    """
    if batch_size is None:
        return slope_moment(act) / variance(act)
    if batch_size < 4:
        raise ValueError(f"batch_size: expected at least 4, below which the rate is infinite; got {batch_size}")
    slopes = two_slopes(act)
    if slopes is None:
        raise ValueError(f"act: for a finite batch, expected relu, leaky_relu or identity; got {act!r}")
    c = -1 / (batch_size - 1)  # the correlation of two samples of a normalized batch
    kernel, slope = _two_slope_kernel(*slopes, c)
    return ((batch_size - 1 + slope) / (1 - kernel) - 1) / (batch_size - 3)


def layernorm_gain(act: Act, position: str = "pre", sigma_w2: float = 2.0) -> float:
    """Returns the growth of the squared gradient per layer with LayerNorm before or after the activation.

    Args:
        position: ``pre`` for linear, norm, activation: ``E[phi'^2] / E[phi^2]`` at variance 1, for any weights
            (Doshi et al., 2023); ``post`` for linear, activation, norm: ``sigma_w2 E[phi'^2] / Var[phi]`` at variance
            ``sigma_w2``.
    Raises:
        ValueError: another position.

    Example:
        >>> round(layernorm_gain("relu"), 6), round(layernorm_gain("relu", "post"), 4)  # the order matters
        (1.0, 1.4669)
    """
    if position not in POSITIONS:
        raise ValueError(f"position: expected one of {', '.join(POSITIONS)}; got {position!r}")
    if position == "pre":
        return slope_moment(act) / second_moment(act)
    return sigma_w2 * slope_moment(act, sigma_w2) / variance(act, sigma_w2)


def variance(act: Act | None, q: float = 1.0) -> float:
    """Computes ``Var[phi(h)]`` for ``h`` of variance ``q``.

    Example:
        >>> round(variance("relu"), 4)  # (1 - 1 / pi) / 2
        0.3408
    """
    return second_moment(act, q) - mean(act, q) ** 2


def two_slopes(act: Act | None) -> tuple[float, float] | None:
    """Returns the slopes below and above 0 of an activation that is linear on either side, else None.

    Example:
        >>> two_slopes("relu"), two_slopes("tanh")
        ((0.0, 1.0), None)
    """
    ends = torch.tensor([[-1.0, 1.0], [-1e-3, 1e-3], [-1e3, 1e3]], dtype=torch.float64)
    slopes = resolve(act)[0](ends.flatten()).detach().reshape(ends.shape) / ends + 0.0  # no negative zero
    below, above = slopes[0].tolist()
    return (below, above) if torch.allclose(slopes, slopes[0].expand_as(slopes), rtol=1e-12, atol=0) else None


def _two_slope_kernel(below: float, above: float, c: float) -> tuple[float, float]:
    """Returns ``J(c) = E[phi(u) phi(v)] / E[phi^2]`` of unit normals with correlation ``c``, and its derivative.

    ``phi`` is ``below * x + (above - below) * relu(x)``: a mixture of the linear and the arc-cosine kernel (Cho & Saul,
    2009).
    """
    angle = math.pi - math.acos(c)
    relu, relu_slope = (math.sqrt(1 - c**2) + angle * c) / math.pi, angle / math.pi
    linear_part, relu_part, whole = below * above, (above - below) ** 2 / 2, (below**2 + above**2) / 2
    return (linear_part * c + relu_part * relu) / whole, (linear_part + relu_part * relu_slope) / whole
