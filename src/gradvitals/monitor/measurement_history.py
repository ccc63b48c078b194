"""A bounded record of what was measured when."""

from __future__ import annotations

from array import array
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

MOST = 256  # steps; a picture shows no more of them
GRADIENT, TOTALS = "activation_grad_norm", ""  # the quantity of a profile, and what is not of one layer
Layout = tuple[tuple[str, tuple[str, ...]], ...]  # quantity and the labels of its layers; TOTALS and their names
ByLabel = Mapping[str, Mapping[str, float]]  # quantity -> layer's label -> number


class StepNumbers(NamedTuple):
    """The numbers of one step, in the order of a layout that many steps share: eight bytes for each."""

    layout: Layout
    numbers: array[float]

    @property
    def found(self) -> dict[str, dict[str, float]]:
        numbers = iter(self.numbers)
        return {quantity: {label: next(numbers) for label in labels} for quantity, labels in self.layout}

    def get(self, quantity: str) -> dict[str, float]:
        first = 0
        for name, labels in self.layout:
            if name == quantity:
                return dict(zip(labels, self.numbers[first : first + len(labels)], strict=True))
            first += len(labels)
        return {}


class MeasurementHistory:
    """Keeps steps and the numbers measured at them, evenly thinned: the first always stays, memory stays bounded.

    When there are more than ``most``, every second one is dropped, and from then on every second one is kept.

    Example:
        >>> history = MeasurementHistory(most=3)
        >>> for step in range(0, 60, 10):
        ...     history.add(step, {"activation_grad_norm": {"00.net": 1.0}}, {"grad_norm/total": 2.0})
        >>> list(history.values), history.total("grad_norm/total")
        ([0, 20, 40], {0: 2.0, 20: 2.0, 40: 2.0})
        >>> next(history.rows())
        (0, '00.net', 'activation_grad_norm', 1.0)
    """

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._rows: dict[int, StepNumbers] = {}
        self._layouts: dict[Layout, Layout] = {}
        self._seen, self._stride, self._latest = 0, 1, -1

    @property
    def values(self) -> dict[int, dict[str, float]]:
        """Step -> layer's label -> norm of dL/dh."""
        return self.of(GRADIENT)

    def of(self, quantity: str) -> dict[int, dict[str, float]]:
        """Returns step -> layer's label -> number; empty where a step did not measure it."""
        return {step: row.get(quantity) for step, row in self._rows.items()}

    def total(self, name: str) -> dict[int, float]:
        """Returns step -> a number that is not of one layer, where it was measured."""
        return {step: found[name] for step, found in self.of(TOTALS).items() if name in found}

    def rows(self) -> Iterator[tuple[int, str | None, str, float]]:
        """Yields step, layer's label, quantity and number; what is not of one layer has None and its tag."""
        for step, row in self._rows.items():
            for quantity, of_layers in row.found.items():
                for label, number in of_layers.items():
                    yield (step, None, label, number) if quantity == TOTALS else (step, label, quantity, number)

    def add(self, step: int, by_layer: ByLabel, totals: Mapping[str, float]) -> None:
        """Adds what was measured at a step; each of several optimizers adds its layers."""
        if step == self._latest:
            if step in self._rows:
                found = self._rows[step].found
                for quantity, numbers in {**by_layer, TOTALS: totals}.items():
                    found.setdefault(quantity, {}).update(numbers)
                self._keep(step, found)
            return
        self._latest = step
        if self._seen % self._stride == 0:
            self._keep(step, {**by_layer, TOTALS: totals})
        self._seen += 1
        if len(self._rows) > self.most:
            self._rows = dict(list(self._rows.items())[::2])
            self._layouts = {row.layout: row.layout for row in self._rows.values()}
            self._stride *= 2

    def _keep(self, step: int, found: ByLabel) -> None:
        layout = tuple((quantity, tuple(of_layers)) for quantity, of_layers in found.items() if of_layers)
        numbers = array("d", [number for of_layers in found.values() for number in of_layers.values()])
        self._rows[step] = StepNumbers(self._layouts.setdefault(layout, layout), numbers)

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values; the numbers of a step are one string, because a checkpoint looks at each object."""
        places = {layout: place for place, layout in enumerate({row.layout: 0 for row in self._rows.values()})}
        return {
            "layouts": [[[quantity, list(labels)] for quantity, labels in layout] for layout in places],
            "rows": {
                step: [places[row.layout], b64encode(row.numbers.tobytes()).decode()]
                for step, row in self._rows.items()
            },
            "seen": self._seen,
            "stride": self._stride,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._seen, self._stride = state["seen"], state["stride"]
        self._rows, self._layouts = {}, {}
        if "values" in state:  # a checkpoint of when only the gradients of the outputs were kept
            for step, values in state["values"].items():
                self._keep(step, {GRADIENT: values})
            return
        known = [tuple((quantity, tuple(labels)) for quantity, labels in layout) for layout in state["layouts"]]
        self._layouts = {layout: layout for layout in known}
        for step, (place, text) in state["rows"].items():
            self._rows[step] = StepNumbers(known[place], array("d", b64decode(text)))
