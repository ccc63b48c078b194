"""A bounded record of the gradient at each time step, of the recurrent layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradvitals.diagnosis.time_profile import TimeNorms

MOST = 64  # training steps that are kept


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
        self._seen, self._stride, self._latest = 0, 1, -1

    def add(self, step: int, norms: Mapping[str, Sequence[float]]) -> None:
        """Adds the norms of a training step by layer; of several optimizers each adds its own."""
        if not norms:
            return
        new = {label: TimeNorms.of(found) for label, found in norms.items()}
        if step == self._latest:
            if step in self.values:
                self.values[step] |= new
            return
        self._latest = step
        if self._seen % self._stride == 0:
            self.values[step] = new
        self._seen += 1
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
        """Returns plain values, for a checkpoint; ``asdict`` would copy each number by itself."""
        rows = {step: {name: dict(vars(norms)) for name, norms in found.items()} for step, found in self.values.items()}
        return {"rows": rows, "seen": self._seen, "stride": self._stride}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        rows = state.get("rows", {})
        self.values = {step: {name: TimeNorms(**n) for name, n in found.items()} for step, found in rows.items()}
        self._seen, self._stride = state.get("seen", 0), state.get("stride", 1)
