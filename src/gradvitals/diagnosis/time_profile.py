"""The gradient at each time step of a recurrent layer, and what it shows: vanishing, exploding, healthy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from gradvitals.diagnosis.profile import DECADES

POINTS = 128  # time steps that are kept of a profile
SHARE = 5  # the first and the last so-manieth part of the steps are compared


@dataclass(frozen=True)
class TimeNorms:
    """Norms of dL/dx of one layer at the time steps of one training step.

    Attributes:
        steps: how many time steps there are.
        norms: at all of them, or at some of them, evenly spaced; the first and the last are among them.
    """

    steps: int
    norms: Sequence[float]

    @classmethod
    def of(cls, norms: Sequence[float], points: int = POINTS) -> Self:
        """Keeps at most so many of the norms.

        Example:
            >>> TimeNorms.of([1.0, 2.0, 3.0, 4.0, 5.0], points=3)
            TimeNorms(steps=5, norms=(1.0, 3.0, 5.0))
        """
        return cls(len(norms), tuple(norms[place] for place in _places(len(norms), points)))

    @property
    def places(self) -> list[int]:
        """The time step of each norm, from 0."""
        return _places(self.steps, len(self.norms))


@dataclass(frozen=True)
class TimeProfile:
    """The gradient of the first time steps compared to that of the last ones.

    Attributes:
        label: ``vanishing``, ``exploding`` or ``healthy``; ``unknown`` where nothing arrives or is not finite.
        layer: index of the recurrent layer.
        steps: number of time steps.
        first: how many of them are the first ones: a fifth.
        ratio: root mean square of their norms over the largest norm of the last fifth.
    """

    label: str
    layer: int = 0
    steps: int = 0
    first: int = 0
    ratio: float = math.nan

    def of_all(self, steps: int) -> TimeProfile:
        """Returns the profile of so many steps, of which it was found from some, evenly spaced."""
        return replace(self, steps=steps, first=max(steps // SHARE, 1))

    @property
    def factor(self) -> float:
        """The geometric mean of the factors from a time step to the one before; nan where nothing arrives."""
        between = self.steps - self.first
        return self.ratio ** (1 / between) if self.ratio > 0 and between > 0 else math.nan

    @property
    def evidence(self) -> str:
        """A sentence with the numbers.

        Example:
            >>> time_profile([1e-9, 1e-9, 1e-6, 1e-3, 1.0]).evidence
            "the first step of 5 receives 1e-09 of the last one's gradient"
        """
        which = f"the first {self.first} of {self.steps} steps receive"
        which = f"the first step of {self.steps} receives" if self.first == 1 else which
        if not self.ratio:
            return f"{which} nothing of the last one's gradient"
        share = f"{self.ratio:.2g} of" if self.ratio < 1 else f"{self.ratio:.2g} times"
        return f"{which} {share} the last one's gradient"


def time_profile(norms: Sequence[float], layer: int = 0) -> TimeProfile:
    """Classifies the gradient by time step.

    It vanishes if the first fifth of the steps receives at most a hundredth of what the last one receives, and explodes
    if it receives at least a hundred times as much, as layers do in :func:`gradvitals.diagnosis.profile.profile`. A
    loss that reads each step gives a level profile whatever the network remembers: then it is ``healthy``.

    Args:
        norms: norms of dL/dx, the first time step first.
        layer: index of the recurrent layer.

    Example:
        >>> time_profile([1e-4, 1e-3, 1e-2, 1e-1, 1.0]).label, time_profile([0.9, 1.0, 1.1]).label
        ('vanishing', 'healthy')
    """
    first = max(len(norms) // SHARE, 1)
    if len(norms) < 2 or not all(map(math.isfinite, norms)) or not max(norms[-first:]) > 0:
        return TimeProfile("unknown", layer, len(norms), first)
    largest = max(norms[:first])
    # Scaled first: squares of what vanishes would be 0.
    mean = largest * math.sqrt(sum((n / largest) ** 2 for n in norms[:first]) / first) if largest else 0.0
    ratio = mean / max(norms[-first:])
    exploding, vanishing = ratio >= 10**DECADES, ratio <= 10**-DECADES
    return TimeProfile(
        "exploding" if exploding else "vanishing" if vanishing else "healthy", layer, len(norms), first, ratio
    )


def clearest(through_time: Mapping[int, Sequence[float]]) -> TimeProfile | None:
    """Returns the profile that is farthest from level, of those of several layers; None where there is none.

    Args:
        through_time: index of a recurrent layer -> norms by time step.

    Example:
        >>> clearest({0: [0.1, 1.0], 2: [1e-5, 1.0]}).layer
        2
    """
    known = [profile for layer, norms in through_time.items() if (profile := time_profile(norms, layer)).ratio >= 0]
    return max(known, key=lambda profile: abs(math.log10(profile.ratio)) if profile.ratio else math.inf, default=None)


def _places(steps: int, points: int) -> list[int]:
    if steps <= points:
        return list(range(steps))
    return [round(point * (steps - 1) / (points - 1)) for point in range(points)]
