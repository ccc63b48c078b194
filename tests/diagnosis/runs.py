"""Histories made by hand: what a monitor would have seen of a net of four layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradvitals.diagnosis.diagnose import Diagnosis, Examination
from gradvitals.diagnosis.history import Observation, Subject
from gradvitals.diagnosis.thresholds import Thresholds
from gradvitals.diagnosis.training_state import TrainingState

LABELS = [f"{i:02d}.net.{i}" for i in range(4)]
STEPS = (*range(10), 50, 100, 150, 200)
CHANCE = math.log(10)


def numbers(
    gradients: Sequence[float] = (1.0, 1.0, 1.0, 1.0),
    update: float = 1e-3,
    std: float = 1.0,
    mean: float = 0.5,
    **by_layer: Sequence[float],
) -> dict[str, Sequence[float]]:
    """The numbers of a measured step, by quantity and layer."""
    return {
        "activation_grad_norm": gradients,
        "update_ratio": [update] * 4,
        "activation_std": [std] * 4,
        "activation_mean": [mean] * 4,
        **by_layer,
    }


def run(
    seen: dict[str, Sequence[float]] | Sequence[dict[str, Sequence[float]]],
    losses: float | Sequence[float] = CHANCE,
    symmetric: Sequence[int] = (),
    steps: Sequence[int] = STEPS,
    limits: Thresholds | None = None,
    clip: float | None = None,
    states: TrainingState | Sequence[TrainingState] | None = None,
    over_time: Sequence[Sequence[float]] = (),
    **subject: Any,
) -> Diagnosis:
    """The verdict on a run that showed these numbers and losses; a single one is used for every observation."""
    subject = {"layers": [label[3:] for label in LABELS], "chance": CHANCE, "planned_steps": 1000} | subject
    examined = Examination(Subject(**subject), limits)
    before = -1
    for i, step in enumerate(steps):
        now = seen if isinstance(seen, dict) else seen[min(i, len(seen) - 1)]
        loss = losses if isinstance(losses, (int, float)) else losses[min(i, len(losses) - 1)]
        state = states if isinstance(states, TrainingState) or not states else states[min(i, len(states) - 1)]
        norms = {1: over_time[min(i, len(over_time) - 1)]} if over_time else None
        facts = {"state": state or None, "through_time": norms}
        examined.take(Observation.of(step, [loss] * (step - before), now, clip, symmetric, **facts))
        before = step
    return examined.diagnosis
