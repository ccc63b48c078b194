"""A bounded record of what was measured when."""

from __future__ import annotations

from typing import Any

MOST = 256  # steps; a picture shows no more of them


class GradientHistory:
    """Keeps steps and the numbers measured at them, evenly thinned: the first always stays, memory stays bounded.

    When there are more than ``most``, every second one is dropped, and from then on every second one is kept.

    Attributes:
        values: step -> layer's label -> number.

    Example:
        >>> history = GradientHistory(most=3)
        >>> for step in range(0, 60, 10):
        ...     history.add(step, {"00.net": 1.0})
        >>> list(history.values)
        [0, 20, 40]
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self.values: dict[int, dict[str, float]] = {}
        self._seen, self._stride, self._latest = 0, 1, -1

    def add(self, step: int, values: dict[str, float]) -> None:
        """Adds what was measured at a step; each of several optimizers adds its layers."""
        if step == self._latest:
            if step in self.values:
                self.values[step] |= values
            return
        self._latest = step
        if self._seen % self._stride == 0:
            self.values[step] = values
        self._seen += 1
        if len(self.values) > self.most:
            self.values = dict(list(self.values.items())[::2])
            self._stride *= 2

    def state_dict(self) -> dict[str, Any]:
        return {"values": dict(self.values), "seen": self._seen, "stride": self._stride}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.values, self._seen, self._stride = dict(state["values"]), state["seen"], state["stride"]
