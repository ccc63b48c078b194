"""What is measured, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MODES = ("warn", "skip", "stop")


@dataclass(frozen=True)
class Settings:
    """What is measured, and when; see :class:`gradvitals.callbacks.gradient_vitals.GradientVitals`."""

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
    include: Sequence[str] | None = None
    exclude: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least in (("every_n_steps", 1), ("first_steps", 0), ("spike_steps", 0), ("max_layers", 1)):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ValueError(f"monitor.{name}: expected a whole number of at least {least}; got {value}")
        if self.spike_factor <= 1:
            raise ValueError(f"monitor.spike_factor: expected a number above 1; got {self.spike_factor}")
        if self.on_non_finite not in MODES:
            raise ValueError(f"monitor.on_non_finite: expected one of {', '.join(MODES)}; got {self.on_non_finite!r}")
