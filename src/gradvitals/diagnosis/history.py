"""What is known of a run: the network, and a moment for each measured step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from gradvitals.diagnosis.profile import Profile, profile

Place = tuple[int, float]  # a layer and its number


@dataclass(frozen=True)
class Subject:
    """What does not change while a net is trained.

    Attributes:
        layers: names by depth.
        chance: the loss of the best constant output (log K for K balanced classes); None: not known.
        planned_steps: of the fit; None: not known.
        predicted_decades: of dL/dh between last and first layer, as theory predicts from the weights' scale; None where
            there is no theory.
        features: the largest root mean square of an input feature; None: not known.
        faults: what is wrong with the inputs or labels themselves, in words.
    """

    layers: Sequence[str] = ()
    chance: float | None = None
    planned_steps: int | None = None
    predicted_decades: float | None = None
    features: float | None = None
    faults: Sequence[str] = ()

    def name(self, layer: int) -> str:
        """How a layer is called in words."""
        return f"layer {layer} ({self.layers[layer]})" if layer < len(self.layers) else f"layer {layer}"


@dataclass(frozen=True)
class Observation:
    """One measured step, reduced to what a diagnosis looks at.

    Attributes:
        step: which.
        losses: how many since the moment before, this step's included.
        loss: their mean, of those that are finite; nan where none is.
        worst: the largest of them; inf where one was not finite.
        gradients: the profile of dL/dh.
        update: smallest, median and largest update ratio of a layer; None where not measured.
        dead: the layer with the largest share of dead units; None where not counted.
        silent: the layer nearest to the input whose activation returned nothing but zero.
        saturated: the layer with the largest share of saturated outputs.
        growth: largest ratio of activation_std between neighbouring layers, and the layer that has it.
        clip: coefficient of clipping; None where nothing clips.
        symmetric: layers whose units all are copies of each other.
        broken: the layer next to the input whose numbers are not finite.
    """

    step: int
    losses: int = 0
    loss: float = math.nan
    worst: float = math.nan
    gradients: Profile = field(default_factory=lambda: Profile("unknown"))
    update: tuple[Place, Place, Place] | None = None
    dead: Place | None = None
    silent: int | None = None
    saturated: Place | None = None
    growth: Place | None = None
    clip: float | None = None
    symmetric: Sequence[int] = ()
    broken: int | None = None

    @classmethod
    def of(
        cls,
        step: int,
        losses: Sequence[float],
        numbers: Mapping[str, float],
        labels: Sequence[str],
        symmetric: Sequence[int] = (),
    ) -> Observation:
        """Reduce the numbers of a step.

        Args:
            step: which.
            losses: of the steps since the moment before, this one's last.
            numbers: by tag, as :class:`gradvitals.GradientVitals` logs them.
            labels: LAYER of the tags, by depth.
            symmetric: see the class.

        Example:
            >>> numbers = {"activation_grad_norm/0": 0.001, "activation_grad_norm/1": 1.0, "update_ratio/0": 1e-3}
            >>> Observation.of(0, [2.3], numbers, ["0", "1"]).gradients.label
            'vanishing'
        """

        def by_layer(tag: str) -> list[float | None]:
            return [numbers.get(f"{tag}/{label}") for label in labels]

        finite = [loss for loss in losses if math.isfinite(loss)]
        std, mean = by_layer("activation_std"), by_layer("activation_mean")
        return cls(
            step,
            len(losses),
            sum(finite) / len(finite) if finite else math.nan,
            (max(finite) if len(finite) == len(losses) else math.inf) if losses else math.nan,
            profile(by_layer("activation_grad_norm")),
            _spread(by_layer("update_ratio")),
            _largest(by_layer("dead_fraction")),
            next((i for i, (s, m) in enumerate(zip(std, mean, strict=True)) if s == 0 == m), None),
            _largest(by_layer("saturated_fraction")),
            _growth(std),
            next((numbers[tag] for tag in numbers if tag.startswith("clip/coefficient")), None),
            symmetric,
            next((i for i, numbers in enumerate(zip(std, mean, strict=True)) if _bad(numbers)), None),
        )


def _bad(numbers: tuple[float | None, ...]) -> bool:
    return any(number is not None and not math.isfinite(number) for number in numbers)


def _largest(values: Sequence[float | None]) -> Place | None:
    known = [(i, value) for i, value in enumerate(values) if value is not None and math.isfinite(value)]
    return max(known, key=lambda place: place[1], default=None)


def _spread(values: Sequence[float | None]) -> tuple[Place, Place, Place] | None:
    known = [(i, value) for i, value in enumerate(values) if value is not None and math.isfinite(value)]
    known.sort(key=lambda place: place[1])
    return (known[0], known[len(known) // 2], known[-1]) if known else None


def _growth(std: Sequence[float | None]) -> Place | None:
    known = [(i, value) for i, value in enumerate(std) if value and math.isfinite(value)]
    ratios = [(i, value / before) for (_, before), (i, value) in pairwise(known)]
    return max(ratios, key=lambda place: place[1], default=None)


@dataclass
class History:
    """The moments of a run so far, in their order.

    Attributes:
        subject: the network.
        moments: at least the first, and the latest ones.
    """

    subject: Subject = field(default_factory=Subject)
    moments: list[Observation] = field(default_factory=list)

    @property
    def latest(self) -> Observation:
        """The last moment."""
        return self.moments[-1]

    @property
    def chance(self) -> float:
        """The loss of the best constant output; where it is not known, the first loss."""
        return self.subject.chance if self.subject.chance is not None else self.first_loss

    @property
    def first_loss(self) -> float:
        """The mean of those that were seen first; nan where none is finite."""
        return next((moment.loss for moment in self.moments if math.isfinite(moment.loss)), math.nan)

    def recent_loss(self, window: int) -> float:
        """Mean over the latest moments that hold so many losses; nan where there is none."""
        total = count = 0.0
        for moment in reversed(self.moments):
            if moment.losses and math.isfinite(moment.loss):
                total, count = total + moment.loss * moment.losses, count + moment.losses
            if count >= window:
                break
        return total / count if count else math.nan
