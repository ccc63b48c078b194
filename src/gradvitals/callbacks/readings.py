"""Numbers that are still on the device."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gradvitals.vitals.norms import wide

Numbers = dict[str, float]
Finish = Callable[[Sequence[float], Numbers], None]


class Readings:
    """Collects tensors and brings all of them to the host in one copy; the rest is arithmetic there.

    Example:
        >>> import math
        >>> readings = Readings()
        >>> readings.add(torch.tensor([3.0, 4.0]), lambda values, numbers: numbers.update(norm=math.hypot(*values)))
        >>> readings.add_one("loss", torch.tensor(2.0))
        >>> readings.fetch()
        {'norm': 5.0, 'loss': 2.0}
    """

    def __init__(self) -> None:
        self._parts: list[tuple[Tensor, Finish]] = []

    def add(self, values: Tensor, finish: Finish) -> None:
        """Take in numbers ``(n,)``, and what makes tagged numbers of them and of those that were added before."""
        self._parts.append((values, finish))

    def add_one(self, tag: str, value: Tensor) -> None:
        """Take in one number ``()`` or ``(1,)`` and its tag."""
        self.add(value.reshape(1), lambda values, numbers: numbers.update({tag: values[0]}))

    def fetch(self) -> Numbers:
        """All numbers by tag. Waits for the device."""
        numbers: Numbers = {}
        if self._parts:
            device = self._parts[0][0].device
            together = torch.cat([values.to(device, wide(device)) for values, _ in self._parts]).tolist()
            for values, finish in self._parts:
                finish(together[: len(values)], numbers)
                together = together[len(values) :]
        return numbers
