"""The data of a diagnosis: the network, and an observation for each measured step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from gradvitals.diagnosis.profile import Profile, profile
from gradvitals.diagnosis.training_state import TrainingState

Place = tuple[int, float]  # index of a layer, and its value


@dataclass(frozen=True)
class Subject:
    """What does not change during training; None means unknown.

    Attributes:
        layers: names by depth.
        chance: the loss of the best constant output (log K for K balanced classes).
        predicted_decades: powers of ten between dL/dh of the first and the last layer, predicted by theory from the
            scale of the weights.
        features: the largest root mean square of an input feature.
        faults: sentences about faults of inputs and labels.
    """

    layers: Sequence[str] = ()
    chance: float | None = None
    planned_steps: int | None = None
    predicted_decades: float | None = None
    features: float | None = None
    faults: Sequence[str] = ()

    def name(self, layer: int) -> str:
        return f"layer {layer} ({self.layers[layer]})" if layer < len(self.layers) else f"layer {layer}"


@dataclass(frozen=True)
class Observation:
    """The numbers of a measured step that the diagnosis uses; None means not measured, or no such layer.

    Attributes:
        losses: number of losses since the previous observation, that of this step included.
        loss: mean of the finite ones; nan if there is none.
        worst: maximum of all; inf if one is not finite.
        gradients: the profile of dL/dh.
        update: smallest, median and largest update ratio of a layer.
        dead: the layer with the largest share of dead units.
        silent: the layer nearest to the input whose activation returned only zeros.
        saturated: the layer with the largest share of saturated outputs.
        growth: the layer with the largest ratio of activation_std to the layer before.
        symmetric: layers whose units have identical weights.
        broken: the layer nearest to the input with numbers that are not finite.
        state: what the optimizers hold and change.
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
    state: TrainingState | None = None

    def plain(self) -> dict[str, Any]:
        """Returns plain values, for a checkpoint; ``asdict`` would copy each number by itself."""
        state = dict(vars(self.state)) if self.state is not None else None
        return {**vars(self), "gradients": dict(vars(self.gradients)), "state": state}

    @classmethod
    def of(
        cls,
        step: int,
        losses: Sequence[float],
        by_layer: Mapping[str, Sequence[float | None]],
        clip: float | None = None,
        symmetric: Sequence[int] = (),
        state: TrainingState | None = None,
    ) -> Observation:
        """Reduces the numbers of a step.

        Args:
            losses: of the steps since the observation before, this one's last.
            by_layer: quantity, as :class:`gradvitals.GradientVitals` calls it -> one value for each layer by depth;
                None where it was not measured.

        Example:
            >>> by_layer = {"activation_grad_norm": [0.001, 1.0], "update_ratio": [1e-3, None]}
            >>> Observation.of(0, [2.3], by_layer).gradients.label
            'vanishing'
        """
        finite = [loss for loss in losses if math.isfinite(loss)]
        std, mean = by_layer.get("activation_std", ()), by_layer.get("activation_mean", ())
        return cls(
            step,
            len(losses),
            sum(finite) / len(finite) if finite else math.nan,
            (max(finite) if len(finite) == len(losses) else math.inf) if losses else math.nan,
            profile(by_layer.get("activation_grad_norm", ())),
            _min_median_max(by_layer.get("update_ratio", ())),
            _largest(by_layer.get("dead_fraction", ())),
            next((i for i, (s, m) in enumerate(zip(std, mean, strict=True)) if s == 0 == m), None),
            _largest(by_layer.get("saturated_fraction", ())),
            _growth(std),
            clip,
            symmetric,
            next((i for i, pair in enumerate(zip(std, mean, strict=True)) if not _are_finite(pair)), None),
            state,
        )


def _are_finite(values: Sequence[float | None]) -> bool:
    return all(value is None or math.isfinite(value) for value in values)


def _ranked(values: Sequence[float | None]) -> list[Place]:
    known = [(i, value) for i, value in enumerate(values) if value is not None and math.isfinite(value)]
    return sorted(known, key=lambda place: place[1])


def _largest(values: Sequence[float | None]) -> Place | None:
    return max(_ranked(values), key=lambda place: place[1], default=None)


def _min_median_max(values: Sequence[float | None]) -> tuple[Place, Place, Place] | None:
    known = _ranked(values)
    return (known[0], known[len(known) // 2], known[-1]) if known else None


def _growth(std: Sequence[float | None]) -> Place | None:
    known = [(i, value) for i, value in enumerate(std) if value and math.isfinite(value)]
    ratios = [(i, value / before) for (_, before), (i, value) in pairwise(known)]
    return max(ratios, key=lambda place: place[1], default=None)


@dataclass
class History:
    """The network, and its observations in order: at least the first and the latest ones."""

    subject: Subject = field(default_factory=Subject)
    observations: list[Observation] = field(default_factory=list)

    @property
    def first(self) -> Observation:
        return self.observations[0]

    @property
    def latest(self) -> Observation:
        return self.observations[-1]

    @property
    def with_state(self) -> list[tuple[Observation, TrainingState]]:
        """The observations whose training state is known, with it."""
        return [(o, o.state) for o in self.observations if o.state is not None]

    @property
    def chance(self) -> float:
        """The loss of the best constant output; if it is unknown, the first loss."""
        return self.subject.chance if self.subject.chance is not None else self.first_loss

    @property
    def first_loss(self) -> float:
        return next((o.loss for o in self.observations if math.isfinite(o.loss)), math.nan)

    def recent_loss(self, window: int) -> float:
        """Returns the mean over the latest observations with at least ``window`` losses; nan if there is none."""
        total = count = 0.0
        for observation in reversed(self.observations):
            if observation.losses and math.isfinite(observation.loss):
                total += observation.loss * observation.losses
                count += observation.losses
            if count >= window:
                break
        return total / count if count else math.nan
