"""Every threshold of the diagnosis, in one place, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches


@dataclass(frozen=True)
class Thresholds:
    """Set any of them by ``+monitor.thresholds.NAME=VALUE``.

    A net *learns* where its loss falls below that of the best constant output. What counts as falling:

    Attributes:
        learns: share of the loss of a constant output that is gone; below it a net does not learn.
        recovered: share from which on a verdict that was given is taken back.
        patience: steps before a net can be said not to learn, at least; and
        patience_share: as a share of the planned steps, where they are known.
        window: losses that are averaged before they are compared.
        decades: of dL/dh lost or won between the last layer and the first, from which on the profile has a cause's name
            (a hundredfold; Glorot & Bengio, 2010, saw depth fail there).
        weak_gain: norm of dL/dh at a layer over that at the next, below which half as many decades are enough: what the
            slope of a sigmoid, at most 1/4, leaves of it.
        dead: share of a layer's units that never return anything but zero.
        saturated: share of a layer's outputs where the slope is below 5 % of its largest.
        small_update: update over weight, below which the weights stand still (about 1e-3 is usual: Karpathy, CS231n).
        usual_update: what is usual; less is too little for a net that is late.
        large_update: above which one step rewrites the weights.
        risen: times the loss of a constant output, from which on a loss has risen and not merely failed to fall.
        clipped: clip coefficient below which next to nothing of a gradient is left.
        unscaled: root mean square of an input feature; networks are initialised for 1.
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
        """The defaults with some values of one's own.

        Raises:
            ValueError: no such threshold, or no number; the closest names are told.

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
