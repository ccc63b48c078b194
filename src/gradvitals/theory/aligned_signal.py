"""Why the gradient grows faster in a residual net without norms than its mean square says.

A gradient has a small component along the signal itself, ``1 / width`` of its square at first. In ``x + phi(W x)`` it
grows as the signal's mean does, and outruns the rest within a dozen blocks. (Derived here. In a bias-free ReLU net
``x . dL/dx`` is the same in all layers by Euler's theorem, which fixes that component.)
"""

from __future__ import annotations

from dataclasses import dataclass

from gradvitals.theory.gaussian_moments import Act, mean, moment, slope, slope_moment


@dataclass(frozen=True)
class Signal:
    """A tensor between layers: mean square and mean of its features over draws of the weights."""

    square: float
    mean: float

    @property
    def variance(self) -> float:
        return self.square - self.mean**2


@dataclass(frozen=True)
class Gradient:
    """The squared gradient of a tensor, in two parts.

    Attributes:
        spread: that which has no direction of its own.
        aligned: that along the tensor itself.
    """

    spread: float
    aligned: float

    @property
    def total(self) -> float:
        return self.spread + self.aligned


def even(total: float, width: int) -> Gradient:
    """A gradient of independent features: a share of ``1 / width`` lies along any direction.

    Example:
        >>> even(1.0, 4)
        Gradient(spread=0.75, aligned=0.25)
    """
    return Gradient(total * (1 - 1 / width), total / width)


def block_step(
    act: Act | None, scale: float, sigma_w2: float, x: Signal, out: Signal, width: int, after: Gradient
) -> tuple[float, Gradient]:
    """Back through ``out = x + scale * phi(W x)``: the squared dL/dh, and the gradient of ``x``.

    Args:
        act: a name of the table, a callable on float64 tensors, or None.
        scale: of the branch.
        sigma_w2: ``fan_in * Var W``; biases are zero.
        x, out: the block's input and output.
        width: features of both.
        after: the gradient of the output.

    Example:
        >>> delta, before = block_step(None, 1.0, 1.0, Signal(1.0, 0.0), Signal(2.0, 0.0), 10**9, even(1.0, 10**9))
        >>> round(delta, 6), round(before.total, 6)
        (1.0, 2.0)
    """
    h = sigma_w2 * x.square
    slopes = slope_moment(act, h)
    # Averages over features of products of x, phi and of h phi', what the branch makes of a change along x.
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

    # A gradient c * out, where c^2 is this:
    unit = after.aligned / out.square
    delta = scale**2 * (after.spread * slopes + unit * slopes_out)
    # The weights know their input: of W^T only the part across x is random.
    crossed = unit * (2 * x_out * change_out + change_out**2) / x.square
    total = after.total + sigma_w2 * delta + crossed
    # Along x: what out's own direction leaves, and what comes from elsewhere by chance.
    moved = x.square + 2 * scale * x.mean * change + scale**2 * change_square
    kept = (x_out + change_out) ** 2 / out.square
    aligned = (after.aligned * kept + after.spread * max(0.0, moved - kept) / width) / x.square
    aligned = min(aligned, total)
    return delta, Gradient(total - aligned, aligned)
