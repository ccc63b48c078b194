"""What a rule has found."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """A problem and its evidence.

    Attributes:
        rule: name of the rule, which is the verdict.
        layer: index of the layer with the clearest evidence; None if the whole net has the problem.
        step: when it was detected.
        value, threshold: the measured number and its limit.
        evidence: a sentence with both.
        cause: the cause of the problem, in a few words.
        advice: a remedy for any project, in a sentence, with PyTorch code where it fits.

    Example:
        >>> Finding("dead_units", layer=2, step=100, value=0.9, threshold=0.5, evidence="90 % of the units are 0").rule
        'dead_units'
    """

    rule: str
    layer: int | None
    step: int
    value: float
    threshold: float
    evidence: str
    cause: str = ""
    advice: str = ""
