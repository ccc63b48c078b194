"""The thresholds of the diagnosis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches


@dataclass(frozen=True)
class Thresholds:
    """The thresholds; ``+monitor.thresholds.NAME=VALUE`` sets one.

    A net *learns* if its loss falls below that of the best constant output.

    Attributes:
        learns: share of the loss of a constant output by which the loss of a net that learns is lower.
        recovered: the same share, from which on a verdict is withdrawn.
        patience: minimal number of steps before a net can be judged not to learn.
        patience_share: the same number as a share of the planned steps; the larger one applies.
        window: number of losses that are averaged.
        decades: powers of ten between dL/dh of the first and the last layer, from which on it vanishes or explodes
            (Glorot & Bengio, 2010, observed that training fails at a factor of 100).
        weak_gain: norm of dL/dh at a layer over that at the next one, below which half of ``decades`` is enough; the
            maximal slope of a sigmoid.
        dead: share of a layer's units that only return 0.
        saturated: share of a layer's outputs where the slope is below 5 % of its maximum.
        small_update: update-to-weight ratio below which the weights hardly change.
        usual_update: the usual ratio (Karpathy, CS231n), below which the second half of a training must not be.
        large_update: ratio above which a step replaces the weights.
        risen: multiple of the loss of a constant output, from which on the loss has risen.
        clipped: clip coefficient below which almost nothing of a gradient remains.
        unscaled: root mean square of an input feature; networks are initialized for 1.

    Example:
        >>> Thresholds(dead=0.8).dead, Thresholds().dead
        (0.8, 0.5)
    """

    learns: float = 0.1
    recovered: float = 0.35
    patience: int = 50
    patience_share: float = 0.05
    window: int = 30
    decades: float = 2.0
    weak_gain: float = 0.25
    dead: float = 0.5
    saturated: float = 0.75
    small_update: float = 1e-4
    usual_update: float = 1e-3
    large_update: float = 0.1
    risen: float = 1.5
    clipped: float = 0.1
    unscaled: float = 20.0

    @classmethod
    def of(cls, values: Mapping[str, float] | None) -> Thresholds:
        """Returns the defaults with some values replaced.

        Raises:
            ValueError: no such threshold, where the message lists the closest names, or a value that is not a number.

        Example:
            >>> Thresholds.of({"decades": 3}).decades
            3
        """
        known = [field.name for field in fields(cls)]
        for name, value in (values or {}).items():
            if name not in known:
                close = ", ".join(get_close_matches(name, known, n=3, cutoff=0.4) or known)
                raise ValueError(f"monitor.thresholds: expected one of {close}; got {name!r}")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ValueError(f"monitor.thresholds.{name}: expected a number; got {value!r}")
        return replace(cls(), **(values or {}))  # type: ignore[arg-type]
