"""What the loss that is called shows of learning, and of how output, loss and target fit together."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Witness:
    """The loss of one batch beside that of outputs that know less.

    Attributes:
        loss: the mean that the loss functions returned.
        constant: of the best constant output; where it is not known, of outputs exchanged between samples.
        gap: by how much outputs exchanged between samples raise the loss.
        scatter: standard deviation of that over several exchanges.
        unit: in which the fall of the loss is expressed.
        target: root mean square of the targets of a regression; 0: there is none.
        whole: the loss that backward starts from, other terms included.
    """

    loss: float
    constant: float
    gap: float
    scatter: float
    unit: float
    target: float = 0.0
    whole: float = math.nan

    @classmethod
    def of(
        cls,
        loss: float,
        constant: float,
        exchanged: float,
        variance: float,
        unit: float,
        target: float,
        whole: float,
    ) -> Witness | None:
        """Returns None where the targets of the batch taught nothing.

        Example:
            >>> round(Witness.of(1.0, 2.0, 3.0, 0.01, 2.0, 0.0, 1.0).learned, 3)
            0.5
        """
        numbers = (loss, constant, exchanged, variance, unit)
        if not unit > 0 or not all(map(math.isfinite, numbers)):
            return None
        return cls(loss, constant, exchanged - loss, math.sqrt(max(variance, 0.0)), unit, target, whole)

    @property
    def learned(self) -> float:
        """By how much the loss is below that of a constant output, in its unit."""
        return (self.constant - self.loss) / self.unit

    @property
    def deviations(self) -> float:
        """The gap in standard deviations; 0 where the outputs do not depend on the input at all."""
        return self.gap / self.scatter if self.scatter > 1e-9 * self.unit else 0.0

    @property
    def knows_constant(self) -> bool:
        """Whether the constant's loss is known, and not that of exchanged outputs in its place."""
        return not math.isclose(self.constant, self.loss + self.gap, rel_tol=1e-9)

    @property
    def is_whole(self) -> bool:
        """Whether the loss has no other terms."""
        return abs(self.whole - self.loss) <= 0.02 * max(abs(self.loss), 1e-12)


@dataclass(frozen=True)
class HeadFact:
    """A fault of output, loss and target.

    Attributes:
        kind: see :mod:`gradvitals.diagnosis.rules.head`.
        loss: the name of the loss function.
        activation: the last one before the loss; empty: none.
        share: of the targets or outputs that are at fault.
    """

    kind: str
    loss: str
    activation: str
    share: float
