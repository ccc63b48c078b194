"""Classifies the profile of the gradient over layers: vanishing, exploding, healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DECADES = 2.0  # powers of ten between last and first layer, from which on a gradient vanishes or explodes


@dataclass(frozen=True)
class Profile:
    """The gradient of the first layer compared to that of the last.

    Attributes:
        label: ``vanishing``, ``exploding``, ``healthy`` or ``non_finite``; ``unknown`` if fewer than two layers have a
            gradient.
        first, last: index of the first and of the last layer that has a gradient.
        ratio: the gradient at the first over that at the last.
        dead: if the layers next to the input have no gradient, the index of the last one; else -1.
    """

    label: str
    first: int = 0
    last: int = 0
    ratio: float = math.nan
    dead: int = -1

    @property
    def gain(self) -> float:
        """Geometric mean of the ratios between neighboring layers, input side over output side."""
        return self.ratio ** (1 / (self.last - self.first)) if self.last > self.first else math.nan

    @property
    def evidence(self) -> str:
        if self.label == "non_finite":
            return f"the gradient of layer {self.last} is not a finite number"
        if self.label == "unknown":
            return "fewer than two layers received a gradient"
        if self.ratio == 0:
            return f"layers {self.first} to {self.dead} receive nothing of layer {self.last}'s gradient"
        share = f"layer {self.first} receives {multiple(self.ratio)} layer {self.last}'s gradient"
        return f"{share}: {self.gain:.3g} per layer"


def profile(norms: Sequence[float | None]) -> Profile:
    """Classifies a gradient profile.

    The gradient vanishes if the first layer receives at most a hundredth of the last layer's gradient, and explodes if
    it receives at least a hundred times of it. (This limit separates the nets of depth 20 in Glorot & Bengio, 2010, and
    Schoenholz et al., 2017.) The label does not mean that a net does not learn: Adam trains some nets with vanishing
    gradients.

    Args:
        norms: norms of dL/dh by layer, input side first; None if a layer was not measured. Zeros next to the input mean
            that no gradient arrives there; other zeros are ignored, because ReZero starts with them.

    Example:
        >>> found = profile([1e-6, 1e-4, 1e-2])
        >>> found.label, found.evidence
        ('vanishing', "layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer")
        >>> profile([1.2, 1.0, 0.9]).label
        'healthy'
    """
    non_finite = [i for i, norm in enumerate(norms) if norm is not None and not math.isfinite(norm)]
    if non_finite:
        return Profile("non_finite", last=non_finite[-1])
    measured = [i for i, norm in enumerate(norms) if norm is not None]
    present = [i for i in measured if norms[i]]
    if len(present) < 2:
        return Profile("unknown")
    first, last = present[0], present[-1]
    if measured[0] < first:
        return Profile("vanishing", measured[0], last, 0.0, dead=first - 1)
    ratio = norms[first] / norms[last]  # type: ignore[operator]
    decades = math.log10(ratio)
    label = "vanishing" if decades <= -DECADES else "exploding" if decades >= DECADES else "healthy"
    return Profile(label, first, last, ratio)


def last_norm(norms: Sequence[float | None]) -> float:
    """Returns the gradient of the last layer that has one, beside which :func:`relative` shows all others.

    Example:
        >>> last_norm([0.1, 0.2, None]), last_norm([0.0, math.inf])
        (0.2, nan)
    """
    return next((norm for norm in reversed(norms) if norm and math.isfinite(norm)), math.nan)


def relative(norms: Sequence[float | None]) -> list[float | None]:
    """Returns the gradient of each layer over that of the last one: the shape of a profile without its size.

    All gradients shrink with the loss, so only their shape is compared between steps. None, where a layer was not
    measured, stays.

    Example:
        >>> relative([1e-3, None, 0.5]), relative([1e-6, None, 5e-4])
        ([0.002, None, 1.0], [0.002, None, 1.0])
    """
    last = last_norm(norms)
    return [None if norm is None else norm / last for norm in norms]


def multiple(ratio: float) -> str:
    """Returns a ratio in words.

    Example:
        >>> multiple(0.001), multiple(1.5), multiple(1234)
        ('0.001 of', '1.5 times', '1,200 times')
    """
    if ratio < 1:
        return f"{ratio:.2g} of"
    if ratio < 100:
        return f"{ratio:.1f} times"
    return f"{float(f'{ratio:.2g}'):,.0f} times" if ratio < 1e6 else f"{ratio:.1e} times"
