"""A logged metric: its values so far, and whether they have certainly improved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

CERTAIN = 3.0  # standard errors
ENOUGH = 3  # values, before they show anything
LITTLE = 0.02  # share of the first value, or of the loss of a constant output
MUCH = 0.2  # share of the first value; a validation set of some hundred samples changes an accuracy by less
MAX_VALUES = 256


@dataclass
class Metric:
    """The values of a metric.

    Attributes:
        mode: ``min`` where lower is better, ``max`` where higher is.
        is_asked: whether the user named it as the witness of progress.
        is_loss: whether it is a validation loss, in the units of the training loss.
        values: steps and values in order: at least the first and the latest ones.
    """

    name: str
    mode: str
    is_asked: bool = False
    is_loss: bool = False
    values: list[tuple[int, float]] = field(default_factory=list)

    @classmethod
    def from_dict(cls, state: Mapping[str, Any]) -> Metric:
        """Builds a metric from the plain values of a checkpoint."""
        return cls(**(dict(state) | {"values": [(int(step), float(value)) for step, value in state["values"]]}))

    def add(self, step: int, value: float) -> None:
        """Adds a finite value; one of the same step replaces the one before."""
        if not math.isfinite(value):
            return
        if self.values and self.values[-1][0] == step:
            self.values.pop()
        self.values.append((step, value))
        if len(self.values) > MAX_VALUES:
            del self.values[1 : MAX_VALUES // 2 : 2]

    @property
    def first(self) -> float:
        return self.values[0][1]

    @property
    def best(self) -> float:
        return (min if self.mode == "min" else max)(value for _, value in self.values)

    @property
    def recent(self) -> float:
        """The mean of the second half."""
        return fmean(value for _, value in self.values[len(self.values) // 2 :])

    def is_below(self, constant: float) -> bool:
        """Returns whether a loss was ever certainly below that of a constant output."""
        return bool(self.values) and self.best < constant * (1 - LITTLE)

    def has_improved(self, constant: float | None, share: float = MUCH) -> bool:
        """Returns whether the second half is certainly better than the first value.

        The scatter is that of second differences, of which a steady trend is no part. Few values show it badly, so that
        more is asked of them: chance alone then gives less than two false answers in a hundred.

        Args:
            constant: the loss of the best constant output, which a loss must be below; None or nan: unknown.
            share: by how much at least: of the first value, or of what that leaves to 1 where this is less.

        Example:
            >>> Metric("val/acc", "max", values=[(10, 0.3), (20, 0.5), (30, 0.62), (40, 0.7)]).has_improved(None)
            True
            >>> Metric("val/acc", "max", values=[(10, 0.11), (20, 0.09), (30, 0.12), (40, 0.1)]).has_improved(None)
            False
        """
        values = [value for _, value in self.values]
        if len(values) < ENOUGH:
            return False
        if self.is_loss and constant is not None and math.isfinite(constant) and not self.is_below(constant):
            return False
        bends = [a - 2 * b + c for a, b, c in zip(values, values[1:], values[2:], strict=False)]
        scatter = math.sqrt(fmean(bend**2 for bend in bends) / 6)
        late = len(values) - len(values) // 2
        error = scatter * math.sqrt(1 + 1 / late) * (1 + 4 / len(bends) ** 2)
        return self._gain > CERTAIN * error and self.seems_better(share)

    def seems_better(self, share: float = MUCH) -> bool:
        """Returns whether the second half is better than the first value by this share, be it by chance.

        Example:
            >>> Metric("distance", "min", values=[(10, 0.49), (20, 0.99), (30, 0.2), (40, 0.3)]).seems_better()
            True
        """
        left = 1 - self.first if self.mode == "max" and 0 <= self.first < 1 else math.inf
        return self._gain > share * min(abs(self.first), left)

    @property
    def _gain(self) -> float:
        return (self.recent - self.first) * (1 if self.mode == "max" else -1)
