"""What the first batches tell of the data."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

from gradvitals.vitals.samples import entropy, faults, inputs_and_labels, largest_feature


class DataFacts:
    """Looks at the inputs and labels of some batches. Waits for the device.

    Example:
        >>> import torch
        >>> facts = DataFacts(batches=1)
        >>> facts.see((torch.ones(100, 2), torch.zeros(100, dtype=torch.long)))
        >>> facts.faults(outputs=3)
        ['all of the first 100 labels are 0']

    Args:
        batches: how many.

    Attributes:
        features: the largest root mean square of an input feature; None: none was seen.
    """

    def __init__(self, batches: int) -> None:
        self._left = batches
        self._labels: Counter[int] = Counter()
        self._finite = True
        self.features: float | None = None

    def see(self, batch: Any) -> None:
        """Look at one more batch."""
        if self._left <= 0:
            return
        self._left -= 1
        x, y = inputs_and_labels(batch)
        if x is not None:
            size = largest_feature(x).item()
            self._finite = self._finite and math.isfinite(size)
            self.features = max(size, self.features or 0.0) if math.isfinite(size) else self.features
        if y is not None:
            self._labels.update(y.tolist())

    def state_dict(self) -> dict[str, Any]:
        """Plain values, for a checkpoint."""
        seen = {"left": self._left, "labels": dict(self._labels), "finite": self._finite}
        return seen | {"features": self.features}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._left, self._labels, self._finite = state["left"], Counter(state["labels"]), state["finite"]
        self.features = state["features"]

    def faults(self, outputs: int | None) -> list[str]:
        """What no network can learn from; see :func:`gradvitals.vitals.samples.faults`."""
        return faults(self._finite, self._labels, outputs)

    def chance(self, loss: float) -> float | None:
        """The loss of guessing the labels, if that may be what the loss measures; None where it may not."""
        guess = entropy(self._labels.values())
        return guess if guess > 0 and math.isfinite(loss) and loss > guess / 2 else None
