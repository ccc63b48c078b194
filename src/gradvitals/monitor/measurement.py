"""One measured step of one optimizer, on the host."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradvitals.diagnosis.training_state import TrainingState
from gradvitals.diagnosis.witness import HeadFact, Witness
from gradvitals.vitals import Histogram, Layer

ByLabel = dict[str, dict[str, float]]  # quantity -> label of a layer or block -> value


@dataclass
class Measurement:
    """The numbers of one step.

    Attributes:
        step: as the loggers count.
        layers: all of the network, by depth.
        suffix: after the name of a total that is this optimizer's alone: ``.1`` for the second of several.
        by_layer: quantity -> one value for each layer by depth; None where it was not measured.
        totals: name -> value, for all that is not of one layer.
        losses: of the steps since the measurement before.
        symmetric: indices of layers whose units are copies of each other.
        clipping_changed: whether clipping changed something; None where nothing clips.
        diverged: step of a loss that was not finite; None: all were finite.
        witness: the loss that is called beside outputs that know nothing; None where it was not looked at.
        head: faults of output, loss and target; None where it was not looked at.
        are_classes: whether a loss that is called takes the targets for numbers of classes.
        histograms: name of a tag -> counts of a layer's weight or gradient.
        state: what the optimizers hold and change.
        through_time: label of a recurrent layer -> norm of dL/dx at each time step, the first one first.

    Example:
        >>> layers = [Layer(name, i, f"0{i}.{name}", "Linear", 4) for i, name in enumerate("ab")]
        >>> measurement = Measurement(7, layers, suffix=".1")
        >>> measurement.set("grad_norm", layers[1], 3.0)
        >>> measurement.set_total("grad_norm/total", 5.0)
        >>> measurement.by_layer, measurement.totals
        ({'grad_norm': [None, 3.0]}, {'grad_norm/total.1': 5.0})
        >>> measurement.labelled
        {'grad_norm': {'01.b': 3.0}}
    """

    step: int
    layers: Sequence[Layer]
    suffix: str = ""
    by_layer: dict[str, list[float | None]] = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)
    losses: list[float] = field(default_factory=list)
    symmetric: list[int] = field(default_factory=list)
    clipping_changed: bool | None = None
    diverged: int | None = None
    witness: Witness | None = None
    head: list[HeadFact] | None = None
    are_classes: bool = False
    histograms: dict[str, Histogram] = field(default_factory=dict)
    state: TrainingState | None = None
    through_time: dict[str, list[float]] = field(default_factory=dict)

    def set(self, quantity: str, layer: Layer, value: float) -> None:
        """Stores the value of a quantity of a layer."""
        self.by_layer.setdefault(quantity, [None] * len(self.layers))[layer.index] = value

    def get(self, quantity: str, layer: Layer) -> float | None:
        """Returns a quantity of a layer; None where it was not measured."""
        values = self.by_layer.get(quantity)
        return values[layer.index] if values else None

    def set_total(self, name: str, value: float) -> None:
        """Stores a value of this optimizer that is not of one layer, under ``name`` and the optimizer's suffix."""
        self.totals[name + self.suffix] = value

    def total(self, name: str) -> float | None:
        """Returns the value of this optimizer that has this name; None where it was not measured."""
        return self.totals.get(name + self.suffix)

    @property
    def labelled(self) -> ByLabel:
        """The values by layer under the layers' labels, without those that were not measured."""
        labels = [layer.label for layer in self.layers]
        return {
            quantity: {label: value for label, value in zip(labels, values, strict=True) if value is not None}
            for quantity, values in self.by_layer.items()
        }


@dataclass
class Numbers:
    """Numbers of several measurements, under the layers' labels because layers may be added during a fit.

    Example:
        >>> layer, first = Layer("net", 0, "00.net", "Linear", 4), Numbers()
        >>> first.add({"grad_norm": {"00.net": 1.0}}, {"grad_norm/total": 2.0})
        >>> first.add({"grad_norm": {"00.net": 3.0}}, {}, overwrite=False)
        >>> first.by_layer, first.totals
        ({'grad_norm': {'00.net': 1.0}}, {'grad_norm/total': 2.0})
    """

    by_layer: ByLabel = field(default_factory=dict)
    totals: dict[str, float] = field(default_factory=dict)

    def add(self, by_layer: ByLabel, totals: Mapping[str, float], overwrite: bool = True) -> None:
        for known, new in ((self.totals, totals), *((self.by_layer.setdefault(q, {}), by_layer[q]) for q in by_layer)):
            known.update(new if overwrite else {name: value for name, value in new.items() if name not in known})

    def state_dict(self) -> dict[str, Any]:
        """Returns plain values, for a checkpoint; ``asdict`` would copy each number by itself."""
        return {"by_layer": {name: dict(values) for name, values in self.by_layer.items()}, "totals": dict(self.totals)}
