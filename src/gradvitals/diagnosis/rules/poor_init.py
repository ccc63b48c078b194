"""Units that are copies of each other: constant, zero or symmetric weights, which no gradient tells apart.

A layer drawn so that is broken up by the first step where its neighbours are random (a zero head, Fixup, ReZero); only
one that stays so is sick.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

EXPLAINS = ("vanishing", "exploding", "dead_units", "saturated", "stalled", "unstable", "overclipped")
MOMENTS = 3  # measured steps over which units stay copies


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Layers whose units were copies of each other at the start and still are."""
    if len(history.moments) < MOMENTS or not history.moments[0].symmetric or not history.latest.symmetric:
        return None
    layers = history.latest.symmetric
    words = f"all units of {history.subject.name(layers[0])} are copies of each other since the start"
    more = f", and of {len(layers) - 1} more layers" if len(layers) > 1 else ""
    return Finding(
        "poor_init",
        layers[0],
        history.latest.step,
        float(len(layers)),
        0.0,
        words + more,
        "constant, zero or symmetric weights",
    )
