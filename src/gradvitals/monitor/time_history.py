"""A bounded record of the gradient at each time step, of the recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

MOST, POINTS = 64, 128  # training steps that are kept, and time steps of each


@dataclass(frozen=True)
class TimeNorms:
    """Norms of dL/dx of one layer at one training step.

    Attributes:
        steps: how many time steps there are.
        norms: at all of them, or at :data:`POINTS` of them, evenly spaced; the first and the last are among them.
    """

    steps: int
    norms: Sequence[float]

    @classmethod
    def of(cls, norms: Sequence[float], points: int = POINTS) -> Self:
        """Keeps some of the norms.

        Example:
            >>> TimeNorms.of([1.0, 2.0, 3.0, 4.0, 5.0], points=3)
            TimeNorms(steps=5, norms=(1.0, 3.0, 5.0))
        """
        return cls(len(norms), tuple(norms[place] for place in _places(len(norms), points)))

    @property
    def places(self) -> list[int]:
        """The time step of each norm, from 0."""
        return _places(self.steps, len(self.norms))


class TimeHistory:
    """Keeps training steps evenly thinned: the first always stays, memory stays bounded.

    Example:
        >>> history = TimeHistory(most=2)
        >>> for step in range(4):
        ...     history.add(step, {"00.rnn": [0.5, 1.0]})
        >>> list(history.values)
        [0, 2]
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.values: dict[int, dict[str, TimeNorms]] = {}
        self._seen, self._stride = 0, 1

    def add(self, step: int, norms: Mapping[str, Sequence[float]]) -> None:
        """Adds the norms of a training step by layer; of several optimizers each adds its own."""
        new = {label: TimeNorms.of(found) for label, found in norms.items()}
        if step in self.values:
            self.values[step] |= new
            return
        if new and self._seen % self._stride == 0:
            self.values[step] = new
        self._seen += bool(new)
        if len(self.values) > self.most:
            self.values = dict(list(self.values.items())[::2])
            self._stride *= 2

    def of(self, label: str) -> dict[int, TimeNorms]:
        """Returns training step -> norms of one layer."""
        return {step: found[label] for step, found in self.values.items() if label in found}

    @property
    def labels(self) -> list[str]:
        return sorted({label for found in self.values.values() for label in found})

    def state_dict(self) -> dict[str, Any]:
        rows = {step: {name: asdict(norms) for name, norms in found.items()} for step, found in self.values.items()}
        return {"rows": rows, "seen": self._seen, "stride": self._stride}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        rows = state.get("rows", {})
        self.values = {step: {name: TimeNorms(**n) for name, n in found.items()} for step, found in rows.items()}
        self._seen, self._stride = state.get("seen", 0), state.get("stride", 1)


def _places(steps: int, points: int) -> list[int]:
    if steps <= points:
        return list(range(steps))
    return [round(point * (steps - 1) / (points - 1)) for point in range(points)]
