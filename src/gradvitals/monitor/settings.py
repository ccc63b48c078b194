"""The settings of the monitor: their names, defaults and limits, for every training loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from inspect import Parameter, Signature, signature
from typing import Any

from gradvitals.diagnosis.thresholds import Thresholds

MODES = ("warn", "skip", "stop")
DIRECTIONS = ("auto", "min", "max")


@dataclass(frozen=True)
class Settings:
    """What is measured and when, and what is done about it.

    Args:
        every_n_steps: measure one step of each optimizer in so many.
        activations: whether to hook into forward and backward; without it only weights and their gradients are seen.
        updates: whether to measure weights and updates; copies the weights of measured steps.
        norm_layers: whether normalization layers with a gain count as layers too.
        clip_cosine: whether to measure what clipping does to the direction; copies the gradient of measured steps.
        noise_scale: whether to measure the gradient noise scale; keeps the gradient of a measured step until the next.
        histograms: whether to log histograms of each layer's weight and gradient (TensorBoard and W&B).
        on_non_finite: ``warn``: report a loss that is not finite at the next measured step. ``skip``, ``stop``: check
            the gradient of each step; where it is not finite, skip the step or end the fit, and name the layer.
        first_steps: measure so many steps at the beginning.
        spike_factor: a total norm above so many times the median of those measured lately is a spike.
        spike_steps: after a spike, so many steps are all measured.
        max_layers: a network of more layers is logged as so many blocks of neighboring ones; None: no limit.
            ``start``, ``end`` and the files made of them are by layer.
        auto_stop: end the fit where a verdict leaves no hope.
        thresholds: of the diagnosis, by name; see :class:`gradvitals.diagnosis.thresholds.Thresholds`.
        chance: loss of the best constant output, below which a network has learnt something; None: the entropy of the
            labels seen, or where there are none the first loss.
        metric: a logged metric that shows progress; None: a validation loss or metric that is there.
        mode: ``min`` or ``max`` where lower or higher values of the metric are better; ``auto``: as its name says.
        include: dotted names of layers or of modules that contain them; ``*`` matches anything; None: all.
        exclude: the same, of those to leave out.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> Settings(every_n_steps=0)
        Traceback (most recent call last):
        ...
        ValueError: monitor.every_n_steps: expected an integer of at least 1; got 0
    """

    every_n_steps: int = 50
    activations: bool = True
    updates: bool = True
    norm_layers: bool = False
    clip_cosine: bool = False
    noise_scale: bool = False
    histograms: bool = False
    on_non_finite: str = "warn"
    first_steps: int = 10
    spike_factor: float = 8.0
    spike_steps: int = 10
    max_layers: int | None = 128
    auto_stop: bool = False
    thresholds: Mapping[str, float] | None = None
    chance: float | None = None
    metric: str | None = None
    mode: str = "auto"
    include: Sequence[str] | None = None
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least in (("every_n_steps", 1), ("first_steps", 0), ("spike_steps", 0), ("max_layers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"monitor.{name}: expected an integer of at least {least}; got {value}")
        if self.spike_factor <= 1:
            raise ValueError(f"monitor.spike_factor: expected a number above 1; got {self.spike_factor}")
        if self.on_non_finite not in MODES:
            raise ValueError(f"monitor.on_non_finite: expected one of {', '.join(MODES)}; got {self.on_non_finite!r}")
        if self.mode not in DIRECTIONS:
            raise ValueError(f"monitor.mode: expected one of {', '.join(DIRECTIONS)}; got {self.mode!r}")
        Thresholds.of(self.thresholds)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Builds the settings from keyword arguments.

        Raises:
            TypeError: a name that is no setting.
            ValueError: a setting out of range.

        Example:
            >>> Settings.of({"every_n_step": 10})
            Traceback (most recent call last):
            ...
            TypeError: the monitor has no setting 'every_n_step'; expected every_n_steps
        """
        names = list(signature(cls).parameters)
        for name in given:
            if name not in names:
                close = get_close_matches(name, names, n=1) or names
                raise TypeError(f"the monitor has no setting {name!r}; expected {', '.join(close)}")
        return cls(**given)


def takes_settings(constructor: Callable[..., None]) -> Callable[..., None]:
    """Gives a constructor ``(self, every_n_steps, **settings)`` the signature that editors and configs read."""
    first, *others = signature(Settings).parameters.values()
    named = [parameter.replace(kind=Parameter.KEYWORD_ONLY) for parameter in others]
    own = Parameter("self", Parameter.POSITIONAL_OR_KEYWORD)
    constructor.__signature__ = Signature([own, first, *named])  # type: ignore[attr-defined]
    return constructor
