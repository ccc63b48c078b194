"""What the first batches show of the data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.measurement import Measurement
from gradvitals.vitals.batch import ENOUGH_LABELS, IGNORED, faults, inputs_and_labels
from gradvitals.vitals.layers import outputs_of

CLASSES = 1000  # counted in several processes, where the network's outputs do not show how many there are


@dataclass
class _Seen:
    """Of some batches: how often each label came, whether inputs are finite and differ, and the largest feature."""

    labels: Counter[int] = field(default_factory=Counter)
    finite: bool = True
    features: float | None = None
    varies: bool = False

    def update(self, other: _Seen) -> None:
        self.labels.update(other.labels)
        self.finite = self.finite and other.finite
        self.varies = self.varies or other.varies
        self.features = max((f for f in (self.features, other.features) if f is not None), default=None)


class BatchStatistics(Collector):
    """Looks at the inputs and labels of some batches. Waits for the device.

    Example:
        >>> facts = BatchStatistics(batches=1)
        >>> facts.measured_batch_begins((torch.ones(600, 2), torch.zeros(600, dtype=torch.long)))
        >>> facts.faults()
        ['all of the first 600 labels are 0']

    Args:
        batches: how many.
        processes: those that share them; what the others saw is known after :meth:`share`.
    """

    def __init__(self, batches: int, processes: Collectives = ALONE) -> None:
        self._left = batches
        self._is_counted = False  # the labels of this batch
        self._processes = processes
        self._known = _Seen()
        self._mine: _Seen | None = self._known if processes.total == 1 else None  # not yet shared

    @property
    def features(self) -> float | None:
        """The largest root mean square of an input feature; None: none was seen."""
        return self._known.features

    @property
    def inputs_vary(self) -> bool:
        """Whether the inputs of some batch differ between samples, as far as they were seen."""
        return self._known.varies or self._known.features is None

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        """Counts labels in every batch as long as all of them are alike and on the host, where that costs little."""
        self._is_counted = False
        if self._left <= 0 and self._may_be_one_class and self._processes.total == 1:
            _, labels = inputs_and_labels(batch)
            if labels is not None and labels.device.type == "cpu":
                self._known.labels.update(labels.tolist())
                self._is_counted = True

    def measured_batch_begins(self, batch: Any) -> None:
        if self._left <= 0 and (self._is_counted or not self._may_be_one_class):
            return
        self._left -= 1
        self._mine = self._mine or _Seen()
        self._mine.update(_look(batch))

    def add_labels(self, labels: Tensor) -> None:
        """Counts integer labels ``(samples,)`` that a loss function was called with."""
        self._mine = self._mine or _Seen()
        self._mine.labels.update(labels[labels != IGNORED].tolist())

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        self.share(readings, outputs_of(measurement.layers))

    def share(self, readings: Readings, outputs: int | None) -> None:
        """Adds what this process saw, for the others: counts of labels, and a place for the rest of each process."""
        seen = self._mine
        if seen is None or self._processes.total == 1:
            return
        self._mine, known = None, self._processes
        counts = [seen.labels[label] / known.copies for label in range(outputs or CLASSES)]
        low, high = min(seen.labels, default=0), max(seen.labels, default=0)
        rest = [seen.features is not None, seen.features or 0.0, not seen.finite, seen.varies]
        rest += [bool(seen.labels), low, high]
        places = [0.0] * (len(rest) * known.total)
        places[known.rank * len(rest) : (known.rank + 1) * len(rest)] = rest

        def finish(values: Sequence[float]) -> None:
            self._take(values[: len(counts)], values[len(counts) :])

        readings.add_shares(torch.tensor([*counts, *places], dtype=torch.float64), finish)

    def _take(self, counts: Sequence[float], places: Sequence[float]) -> None:
        self._known.update(_Seen(Counter({label: round(count) for label, count in enumerate(counts) if count})))
        size = len(places) // self._processes.total
        for at in range(0, len(places), size):
            has_inputs, features, unfit, varies, has_labels, low, high = places[at : at + size]
            beyond = {label for label in (int(low), int(high)) if has_labels and not 0 <= label < len(counts)}
            self._known.update(_Seen(Counter(beyond), not unfit, features if has_inputs else None, bool(varies)))

    @property
    def _may_be_one_class(self) -> bool:
        """Whether all labels so far are alike, and too few to tell."""
        return len(self._known.labels) == 1 and self._known.labels.total() < ENOUGH_LABELS

    def state_dict(self) -> dict[str, Any]:
        seen = {"left": self._left, "labels": dict(self._known.labels), "finite": self._known.finite}
        return seen | {"features": self._known.features, "varies": self._known.varies}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._left = state["left"]
        varies = state.get("varies", True)  # of a checkpoint before it was known
        self._known.update(_Seen(Counter(state["labels"]), state["finite"], state["features"], varies))

    @property
    def is_finite(self) -> bool:
        return self._known.finite

    def faults(self) -> list[str]:
        """Returns what is wrong with the labels themselves, whatever they mean."""
        return faults(True, self._known.labels, None)


def _look(batch: Any) -> _Seen:
    x, y = inputs_and_labels(batch)
    labels = Counter(y.tolist() if y is not None else ())
    if x is None:
        return _Seen(labels)
    sizes = x.detach().double().square().mean(0).sqrt()  # the root mean square of each feature
    largest = sizes.max() if x.numel() else x.new_zeros((), dtype=torch.float64)
    varies = (x != x[:1]).any() if len(x) > 1 else torch.ones((), device=x.device)
    size, differ = torch.stack([largest, varies.to(torch.float64)]).tolist()
    finite = math.isfinite(size)
    return _Seen(labels, finite, size if finite else None, bool(differ))
