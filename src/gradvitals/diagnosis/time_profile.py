"""The gradient at each time step of a recurrent layer, and what it shows: vanishing, exploding, healthy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from gradvitals.diagnosis.profile import DECADES, multiple

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

    def places_among(self, longest: int) -> list[int]:
        """Returns the time step of each norm beside sequences of so many steps: all end together.

        Example:
            >>> TimeNorms(2, (0.5, 1.0)).places_among(5)
            [3, 4]
        """
        return [longest - self.steps + place for place in self.places]

    def expected(self, factor: float | None) -> list[float]:
        """Returns the last norm on its way back, by a factor per time step; empty where one of both is missing.

        Example:
            >>> TimeNorms(3, (0.2, 0.4, 1.0)).expected(0.5)
            [0.25, 0.5, 1.0]
        """
        if not factor or not self.norms[-1] > 0:
            return []
        return [self.norms[-1] * factor ** (self.steps - 1 - place) for place in self.places]


@dataclass(frozen=True)
class TimeProfile:
    """The gradient of the first time steps compared to that of the last ones.

    Attributes:
        label: ``vanishing``, ``exploding`` or ``healthy``; ``unknown`` where nothing arrives, or what arrives
            at the end is not finite.
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
        if self.label == "unknown":
            return "too few time steps received a gradient"
        which = f"the first {self.first} of {self.steps} steps receive"
        which = f"the first step of {self.steps} receives" if self.first == 1 else which
        if not self.ratio:
            return f"{which} nothing of the last one's gradient"
        if self.ratio == math.inf:
            return f"{which} a gradient that is not a finite number"
        return f"{which} {multiple(self.ratio)} the last one's gradient"


def time_profile(norms: Sequence[float | None], layer: int = 0) -> TimeProfile:
    """Classifies the gradient by time step.

    It vanishes if the first fifth of the steps receives at most a hundredth of what the last one receives, and explodes
    if it receives at least a hundred times as much, as layers do in :func:`gradvitals.diagnosis.profile.profile`. A
    loss that reads each step gives a level profile whatever the network remembers: then it is ``healthy``.

    Args:
        norms: norms of dL/dx, the first time step first. None and nan: not measured. Zeros at the end are steps that no
            loss reads; other zeros are numbers too small for the format.
        layer: index of the recurrent layer.

    References:
        Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 2.

    Example:
        >>> time_profile([1e-4, 1e-3, 1e-2, 1e-1, 1.0]).label, time_profile([0.9, 1.0, 1.1]).label
        ('vanishing', 'healthy')
    """
    steps, first = len(norms), max(len(norms) // SHARE, 1)
    read = max((step + 1 for step, norm in enumerate(norms) if norm), default=0)
    early, late = _measured(norms[:first]), _measured(norms[max(read - first, 0) : read])
    last = max(late, default=0.0)
    if steps < 2 or read <= first or not early or not 0 < last < math.inf:
        return TimeProfile("unknown", layer, steps, first)
    ratio = _root_mean_square(early) / last
    label = "exploding" if ratio >= 10**DECADES else "vanishing" if ratio <= 10**-DECADES else "healthy"
    return TimeProfile(label, layer, steps, first, ratio)


def at_input(through_time: Mapping[int, Sequence[float]]) -> TimeProfile | None:
    """Returns the profile of the layer that is nearest to the input, which all others have passed on.

    Args:
        through_time: index of a recurrent layer -> norms by time step.

    Returns:
        None where there is none, or no more than ``unknown`` ones.

    Example:
        >>> at_input({2: [1e-5, 1.0], 0: [0.1, 1.0]}).layer
        0
    """
    profiles = (time_profile(through_time[layer], layer) for layer in sorted(through_time))
    return next((found for found in profiles if found.label != "unknown"), None)


def _measured(norms: Sequence[float | None]) -> list[float]:
    return [norm for norm in norms if norm is not None and not math.isnan(norm)]


def _root_mean_square(norms: Sequence[float]) -> float:
    largest = max(norms)
    if not 0 < largest < math.inf:
        return largest
    return largest * math.sqrt(sum((norm / largest) ** 2 for norm in norms) / len(norms))  # tiny squares would be 0


def _places(steps: int, points: int) -> list[int]:
    if steps <= points:
        return list(range(steps))
    return [round(point * (steps - 1) / (points - 1)) for point in range(points)]
