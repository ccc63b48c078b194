"""Classifies the profile of the gradient over the time steps of a recurrent layer: vanishing, exploding, healthy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gradvitals.diagnosis.profile import DECADES, multiple

FEWEST = 5  # time steps; a fifth of them is at least one


@dataclass(frozen=True)
class TimeProfile:
    """The gradient that the first fifth of the time steps receive, compared to that of the last fifth.

    Attributes:
        label: ``vanishing``, ``exploding`` or ``healthy``; ``unknown`` where too few steps were measured.
        steps: number of time steps.
        early: number of those in the first fifth.
        ratio: the largest gradient of the first fifth over the largest of the last fifth.
        factor: by which the gradient changes from a time step to the one before it.
        share: share of the time steps that receive less than a hundredth of the largest gradient.
        layer: index of the recurrent layer.
    """

    label: str = "unknown"
    steps: int = 0
    early: int = 0
    ratio: float = math.nan
    factor: float = math.nan
    share: float = math.nan
    layer: int = 0

    @property
    def evidence(self) -> str:
        """A sentence with the numbers."""
        if self.label == "unknown":
            return "too few time steps received a gradient"
        first = f"the first {self.early} of {self.steps} time steps receive"
        if self.ratio == 0:
            return f"{first} nothing of the last one's gradient"
        if self.ratio == math.inf:
            return f"{first} a gradient that is not a finite number"
        return f"{first} {multiple(self.ratio)} the last one's gradient: {self.factor:.3g} per time step"


def time_profile(norms: Sequence[float | None], layer: int = 0) -> TimeProfile:
    """Classifies the profile of one recurrent layer.

    The limit is that of layers, a factor of 100. A loss that reads every time step gives each of them a gradient of
    its own, so that its profile is flat whatever becomes of the gradient on its way back: such a profile is healthy,
    which says only that nothing was seen. Each fifth counts by its largest gradient, which one step that happens to be
    small does not change.

    Args:
        norms: norms of the gradient with respect to the layer's input, first time step first. None and nan: not
            measured. Zeros at the end are steps that no loss reads; other zeros are numbers too small for the format.
        layer: its index.

    References:
        Pascanu, Mikolov & Bengio (2013), On the difficulty of training recurrent neural networks, section 2.

    Example:
        >>> found = time_profile([0.1**k for k in range(9, -1, -1)])
        >>> found.label, found.evidence
        ('vanishing', "the first 2 of 10 time steps receive 1e-08 of the last one's gradient: 0.1 per time step")
        >>> time_profile([1.0, 0.9, 1.1, 1.0, 1.0, 0.2]).label
        'healthy'
    """
    read = max((t for t, norm in enumerate(norms) if norm), default=-1) + 1
    known = {t: norm for t, norm in enumerate(norms[:read]) if norm is not None and not math.isnan(norm)}
    early = max(len(norms) // 5, 1)
    first, last = _largest(known, range(early)), _largest(known, range(read - early, read))
    if len(known) < FEWEST or first is None or last is None or not 0 < known[last] < math.inf:
        return TimeProfile(steps=len(norms), layer=layer)
    ratio, largest = known[first] / known[last], max(norm for norm in known.values() if norm < math.inf)
    label = "vanishing" if ratio <= 10**-DECADES else "exploding" if ratio >= 10**DECADES else "healthy"
    faint = sum(norm <= largest * 10**-DECADES for norm in known.values()) / len(known)
    return TimeProfile(label, len(norms), early, ratio, _factor(known, first, last), faint, layer)


def _largest(known: dict[int, float], steps: range) -> int | None:
    return max((t for t in steps if t in known), key=known.__getitem__, default=None)


def _factor(known: dict[int, float], first: int, last: int) -> float:
    """The geometric mean from the last step back to the first that still has a finite number above 0."""
    reached = next(t for t in sorted(known) if t >= first and 0 < known[t] < math.inf)
    return (known[reached] / known[last]) ** (1 / (last - reached)) if reached < last else 0.0
