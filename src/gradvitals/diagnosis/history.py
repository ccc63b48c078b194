"""The data of a diagnosis: the network, and an observation for each measured step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean, median
from typing import Any

from gradvitals.diagnosis.metric import Metric
from gradvitals.diagnosis.profile import Profile, profile
from gradvitals.diagnosis.time_profile import TimeProfile, at_input
from gradvitals.diagnosis.training_state import TrainingState, loaded
from gradvitals.diagnosis.witness import HeadFact, Witness

Place = tuple[int, float]  # index of a layer, and its value


@dataclass(frozen=True)
class Subject:
    """What does not change during training; None means unknown.

    Attributes:
        layers: names by depth.
        chance: the loss of the best constant output (log K for K balanced classes); nan: the loss shows nothing,
            because several optimizers play against each other.
        predicted_decades: powers of ten between dL/dh of the first and the last layer, predicted by theory from the
            scale of the weights.
        features: the largest root mean square of an input feature.
        targets: root mean square of the targets of a regression.
        is_finite: whether all inputs are finite numbers.
        inputs_vary: whether the inputs of some batch differ between samples, as far as they were seen.
        faults: sentences about faults of labels.
        are_classes: whether a loss that is called takes the targets for numbers of classes.
        head: faults of output, loss and target.
        planned_steps: optimizer steps of the whole training.

    Example:
        >>> Subject(layers=["net.0", "net.2"], chance=2.3).name(1)
        'layer 1 (net.2)'
    """

    layers: Sequence[str] = ()
    chance: float | None = None
    planned_steps: int | None = None
    predicted_decades: float | None = None
    features: float | None = None
    targets: float = 0.0
    is_finite: bool = True
    inputs_vary: bool = True
    faults: Sequence[str] = ()
    head: Sequence[HeadFact] = ()
    are_classes: bool = False

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Subject:
        """Builds a subject from the plain values of a checkpoint; the training that resumes may have another length."""
        return cls(**{**values, "head": [HeadFact(**fact) for fact in values.get("head", ())], "planned_steps": None})

    def name(self, layer: int) -> str:
        """Returns how a sentence calls the layer of this index."""
        return f"layer {layer} ({self.layers[layer]})" if layer < len(self.layers) else f"layer {layer}"


@dataclass(frozen=True)
class Observation:
    """The numbers of a measured step that the diagnosis uses; None means not measured, or no such layer.

    Attributes:
        losses: number of losses since the previous observation, that of this step included.
        loss: mean of the finite ones; nan if there is none.
        worst: maximum of all; inf if one is not finite.
        scatter: standard deviation of them; nan where there are fewer than five.
        gradients: the profile of dL/dh.
        update: smallest, median and largest update ratio of a layer.
        dead: the layer with the largest share of dead units.
        silent: the layer nearest to the input whose activation returned only zeros.
        saturated: the layer with the largest share of saturated outputs.
        growth: the layer with the largest ratio of activation_std to the layer before.
        symmetric: layers whose units have identical weights.
        broken: the layer nearest to the input with numbers that are not finite.
        witness: the loss beside that of outputs that know nothing.
        state: what the optimizers hold and change.
        through_time: the profile of dL/dx over the time steps of the recurrent layer that is nearest to the input.
        clip: total norm of the gradient after clipping over that before it; None where nothing clips.

    Example:
        >>> Observation(step=10, losses=2, loss=0.5).gradients.label
        'unknown'
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
    scatter: float = math.nan
    witness: Witness | None = None
    state: TrainingState | None = None
    through_time: TimeProfile | None = None

    def plain(self) -> dict[str, Any]:
        """Returns plain values, for a checkpoint; ``asdict`` would copy each number by itself."""
        nested: dict[str, Any] = {"gradients": dict(vars(self.gradients))}
        for name in ("witness", "state", "through_time"):
            value = getattr(self, name)
            nested[name] = dict(vars(value)) if value is not None else None
        return {**vars(self), **nested}

    @classmethod
    def of(
        cls,
        step: int,
        losses: Sequence[float],
        by_layer: Mapping[str, Sequence[float | None]],
        clip: float | None = None,
        symmetric: Sequence[int] = (),
        witness: Witness | None = None,
        state: TrainingState | None = None,
        through_time: Mapping[int, Sequence[float]] | None = None,
    ) -> Observation:
        """Reduces the numbers of a step.

        Args:
            losses: of the steps since the observation before, this one's last.
            by_layer: quantity, as :class:`gradvitals.GradientVitals` calls it -> one value for each layer by depth;
                None where it was not measured.
            through_time: index of a recurrent layer -> norms of dL/dx by time step.

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
            _scatter(finite),
            witness,
            state,
            at_input(through_time or {}),
        )

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Observation:
        """Builds an observation from the plain values of a checkpoint."""
        witness, through_time = values.get("witness"), values.get("through_time")
        nested: dict[str, Any] = {
            "gradients": Profile(**values["gradients"]),
            "witness": Witness(**witness) if witness else None,
            "state": loaded(values),
            "through_time": TimeProfile(**through_time) if through_time else None,
        }
        return cls(**(values | nested))


def _scatter(losses: Sequence[float]) -> float:
    """Returns the standard deviation between losses, of which a trend is no part."""
    if len(losses) < 5:
        return math.nan
    return math.sqrt(fmean((b - a) ** 2 for a, b in pairwise(losses)) / 2)


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
    """The network, and its observations in order: at least the first and the latest ones.

    Attributes:
        subject: what does not change during the training.
        observations: in the order of their steps.
        is_final: whether the training is over.
        metrics: those that are logged, by name.

    Example:
        >>> history = History(Subject(chance=2.3), [Observation(step, 10, loss=2.3 - step / 50) for step in (0, 50)])
        >>> round(history.recent_loss(window=10), 3)
        1.3
    """

    subject: Subject = field(default_factory=Subject)
    observations: list[Observation] = field(default_factory=list)
    is_final: bool = False
    metrics: dict[str, Metric] = field(default_factory=dict)

    @property
    def first(self) -> Observation:
        """The first observation."""
        return self.observations[0]

    @property
    def latest(self) -> Observation:
        """The latest observation."""
        return self.observations[-1]

    @property
    def started_well(self) -> bool:
        """Whether no gradient vanished or exploded before training.

        Over time steps it vanishes in nearly all recurrent nets, those included that learn.
        """
        over_time = next((o.through_time for o in self.observations if o.through_time is not None), None)
        exploded = over_time is not None and over_time.label == "exploding"
        return self.first.gradients.label in ("healthy", "unknown") and not exploded

    @property
    def with_state(self) -> list[tuple[Observation, TrainingState]]:
        """The observations whose training state is known, with it."""
        return [(o, o.state) for o in self.observations if o.state is not None]

    @property
    def metric_improves(self) -> bool:
        """Whether a metric that the user asked for shows that the net learns."""
        return any(m.is_asked and m.has_improved(self.subject.chance) for m in self.metrics.values())

    @property
    def looks(self) -> list[Witness]:
        """What the loss functions that are called showed, each time they were looked at."""
        return [o.witness for o in self.observations if o.witness is not None]

    @property
    def chance(self) -> float:
        """The loss of the best constant output; if it is unknown, the first loss."""
        return self.subject.chance if self.subject.chance is not None else self.first_loss

    @property
    def scatter(self) -> float:
        """The standard deviation of the loss between batches; 0 where it is not known."""
        known = [o.scatter for o in self.observations if math.isfinite(o.scatter)]
        if known:
            return median(known)
        losses = [o.loss for o in self.observations if o.losses == 1 and math.isfinite(o.loss)]
        found = _scatter(losses)
        return found if math.isfinite(found) else 0.0

    def start(self, window: int) -> float:
        """Returns the mean of the first losses, at least ten and at most ``window``; nan if there is none."""
        total = count = 0.0
        for observation in self.observations:
            if observation.losses and math.isfinite(observation.loss):
                if count >= 10 or (count + observation.losses > window and count):
                    break
                total += observation.loss * observation.losses
                count += observation.losses
        return total / count if count else math.nan

    @property
    def first_loss(self) -> float:
        """The first loss that is finite; nan if there is none."""
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
