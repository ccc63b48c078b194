"""One measured step."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradvitals.vitals import Histogram, Layer


@dataclass
class Measured:
    """One step of one optimizer, on the host.

    Attributes:
        step: as Lightning's loggers count.
        numbers: by tag.
        layers: all of the network, by depth.
        changed: whether clipping changed something; None where nothing clips.
        diverged: step of a loss that was not finite; None: none was seen.
        histograms: by tag.
        losses: of the steps since the one that was measured before.
        symmetric: indices of layers whose units are copies of each other.
    """

    step: int
    numbers: dict[str, float]
    layers: list[Layer]
    changed: bool | None = None
    diverged: int | None = None
    histograms: dict[str, Histogram] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    symmetric: list[int] = field(default_factory=list)
