"""Which optimizer steps are measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

WINDOW = 50  # totals that the median is taken of
ENOUGH = 5  # totals from which on a spike can be recognized
PATIENCE = 10  # steps of the others for which an optimizer is awaited


@dataclass
class Cadence:
    """One step in ``every_n_steps``, the first ``first_steps``, and ``spike_steps`` after a spike.

    A spike is a total gradient norm, seen at a measured step, above ``spike_factor`` times the median of the last fifty
    seen, or one that is not finite; the latter does not enter the median.

    Attributes:
        steps: of this optimizer so far.
        recent: the latest finite totals.
        dense_until: up to this step each one is measured.
        missed: steps that other optimizers took while this one was awaited.

    Example:
        >>> cadence = Cadence(every_n_steps=10, first_steps=2)
        >>> measured = []
        >>> for step in range(25):
        ...     measured += [step] if cadence.due else []
        ...     cadence.step_taken()
        >>> measured
        [0, 1, 10, 20]
    """

    every_n_steps: int = 50
    first_steps: int = 10
    spike_factor: float = 8.0
    spike_steps: int = 10
    steps: int = 0
    recent: list[float] = field(default_factory=list)
    dense_until: int = 0
    missed: int = 0

    @property
    def due(self) -> bool:
        steps = self.steps
        return steps < self.first_steps or steps < self.dense_until or steps % self.every_n_steps == 0

    @property
    def awaited(self) -> bool:
        """Whether it is worth watching the next batch: the step is due, and the optimizer has been stepping."""
        return self.due and self.missed < PATIENCE

    def step_taken(self) -> None:
        self.steps, self.missed = self.steps + 1, 0

    def note(self, total: float) -> None:
        finite = math.isfinite(total)
        known = len(self.recent) >= ENOUGH
        if not finite or (known and total > self.spike_factor * median(self.recent)):
            self.dense_until = self.steps + self.spike_steps
        if finite:
            self.recent = [*self.recent, total][-WINDOW:]

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.recent, self.dense_until = state["steps"], list(state["recent"]), state["dense_until"]
        self.missed = state["missed"]
