"""The gradient's component along the signal, for residual networks without norms.

A gradient has a small component along the signal itself, at first ``1 / width`` of its square. In ``x + phi(W x)`` it
grows as the signal's mean does, and dominates within a dozen blocks, so the gradient grows faster than its mean square
predicts. (Derived here. In a bias-free ReLU net ``x . dL/dx`` is the same in all layers by Euler's theorem, which fixes
that component.)
"""

from __future__ import annotations

from dataclasses import dataclass

from gradvitals.theory.gaussian_moments import Act, mean, moment, slope, slope_moment


@dataclass(frozen=True)
class Signal:
    """Mean square and mean of the features of a tensor between layers, over random weights."""

    square: float
    mean: float

    @property
    def variance(self) -> float:
        return self.square - self.mean**2


@dataclass(frozen=True)
class Gradient:
    """The squared gradient of a tensor: the isotropic part, and the part along the tensor itself."""

    isotropic: float
    aligned: float

    @property
    def total(self) -> float:
        return self.isotropic + self.aligned


def isotropic(total: float, width: int) -> Gradient:
    """Returns a gradient of independent features, which has a share of ``1 / width`` along any direction.

    Example:
        >>> isotropic(1.0, 4)
        Gradient(isotropic=0.75, aligned=0.25)
    """
    return Gradient(total * (1 - 1 / width), total / width)


def block_step(
    act: Act | None, scale: float, sigma_w2: float, x: Signal, out: Signal, width: int, after: Gradient
) -> tuple[float, Gradient]:
    """Propagates the gradient back through ``out = x + scale * phi(W x)``.

    Args:
        x, out: the block's input and output.
        width: features of both.

    Returns:
        The squared dL/dh, and the gradient of ``x``.

    Example:
        >>> x, out, after = Signal(1.0, 0.0), Signal(2.0, 0.0), isotropic(1.0, 10**9)
        >>> delta, before = block_step(None, 1.0, 1.0, x, out, 10**9, after)
        >>> round(delta, 6), round(before.total, 6)
        (1.0, 2.0)
    """
    h = sigma_w2 * x.square
    slopes = slope_moment(act, h)
    # Averages over features of products of x, phi and h phi', the response of the branch to a change along x.
    change = moment(act, lambda phi, h: h * slope(phi, h), h)
    change_square = moment(act, lambda phi, h: (h * slope(phi, h)) ** 2, h)
    change_value = moment(act, lambda phi, h: h * slope(phi, h) * phi(h), h)
    slopes_out = (
        x.square * slopes
        + 2 * scale * x.mean * moment(act, lambda phi, h: slope(phi, h) ** 2 * phi(h), h)
        + scale**2 * moment(act, lambda phi, h: (slope(phi, h) * phi(h)) ** 2, h)
    )
    x_out = x.square + scale * x.mean * mean(act, h)
    change_out = scale * (x.mean * change + scale * change_value)

    # The aligned part is the gradient c * out, with this c^2:
    unit = after.aligned / out.square
    delta = scale**2 * (after.isotropic * slopes + unit * slopes_out)
    # The weights are correlated with their input: only the part of W^T orthogonal to x is random.
    crossed = unit * (2 * x_out * change_out + change_out**2) / x.square
    total = after.total + sigma_w2 * delta + crossed
    # Along x: what remains of the part along out, and what the isotropic part contributes at random.
    moved = x.square + 2 * scale * x.mean * change + scale**2 * change_square
    kept = (x_out + change_out) ** 2 / out.square
    aligned = (after.aligned * kept + after.isotropic * max(0.0, moved - kept) / width) / x.square
    aligned = min(aligned, total)
    return delta, Gradient(total - aligned, aligned)
