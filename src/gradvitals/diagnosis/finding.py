"""What a rule has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One sickness, with what shows it.

    Attributes:
        rule: its name, which is a verdict's.
        layer: index of the layer that shows it best; None where it is of the whole net.
        step: at which it was seen.
        value, threshold: the number that decides, and its limit.
        evidence: both in a sentence.
        cause: where it comes from, in a few words.
    """

    rule: str
    layer: int | None
    step: int
    value: float
    threshold: float
    evidence: str
    cause: str = ""
