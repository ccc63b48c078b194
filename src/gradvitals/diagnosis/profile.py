"""What the gradient does on its way through the layers: the shape of the profile, in one word and one sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

DECADES = 2.0  # lost or won between last and first layer, from which on a profile has a name


@dataclass(frozen=True)
class Profile:
    """How one gradient compares at both ends of a network.

    Attributes:
        label: ``vanishing``, ``exploding``, ``healthy`` or ``non_finite``; ``unknown`` where fewer than two layers
            have a gradient.
        first, last: index of the first and of the last layer that has a gradient.
        ratio: the gradient at the first over that at the last.
        dead: index of the last layer of those next to the input that receive exactly nothing; -1 where none does.
    """

    label: str
    first: int = 0
    last: int = 0
    ratio: float = math.nan
    dead: int = -1

    @property
    def gain(self) -> float:
        """Geometric mean of the ratio between neighbouring layers, input side over output side: 1 keeps the size."""
        return self.ratio ** (1 / (self.last - self.first)) if self.last > self.first else math.nan

    @property
    def evidence(self) -> str:
        """What the label rests on."""
        if self.label == "non_finite":
            return f"the gradient of layer {self.last} is not a finite number"
        if self.label == "unknown":
            return "fewer than two layers received a gradient"
        if self.ratio == 0:
            return f"layers {self.first} to {self.dead} receive nothing of layer {self.last}'s gradient"
        share = f"layer {self.first} receives {_times(self.ratio)} layer {self.last}'s gradient"
        return f"{share}: {self.gain:.3g} per layer"


def profile(norms: Sequence[float | None]) -> Profile:
    """Name the shape of a gradient profile.

    It vanishes where the first layer is left with less than a hundredth of the last layer's gradient, and explodes
    where it receives more than a hundredfold (the labels of depth 20 in Glorot & Bengio, 2010, and Schoenholz et al.,
    2017, are told apart by that line). The name is of the profile alone: Adam trains some nets whose gradient vanishes.

    Args:
        norms: of dL/dh by layer, input side first; None where a layer was not measured. Zeros next to the input mean
            that nothing arrives there; zeros farther on are passed over, as a ReZero branch has them at the start.

    Example:
        >>> found = profile([1e-6, 1e-4, 1e-2])
        >>> found.label, found.evidence
        ('vanishing', "layer 0 receives 0.0001 of layer 2's gradient: 0.01 per layer")
        >>> profile([1.2, 1.0, 0.9]).label
        'healthy'
    """
    sick = [i for i, norm in enumerate(norms) if norm is not None and not math.isfinite(norm)]
    if sick:
        return Profile("non_finite", last=sick[-1])
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


def _times(ratio: float) -> str:
    """A ratio as people say it: a share below 1, a multiple above."""
    if ratio < 1:
        return f"{ratio:.2g} of"
    if ratio < 100:
        return f"{ratio:.1f} times"
    return f"{float(f'{ratio:.2g}'):,.0f} times" if ratio < 1e6 else f"{ratio:.1e} times"
