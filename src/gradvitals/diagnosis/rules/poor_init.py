"""Layers whose units have identical weights and therefore identical gradients: constant, zero or symmetric weights.

If the neighboring layers are random (a zero head, Fixup, ReZero), the first step makes such units different, so only
layers whose units stay identical are reported.
"""

from __future__ import annotations

from gradvitals.diagnosis.finding import Finding
from gradvitals.diagnosis.history import History
from gradvitals.diagnosis.thresholds import Thresholds

ADVICE = "Draw the weights at random: nn.init.kaiming_normal_(layer.weight), or leave torch's own initialization."
EXPLAINS = ("vanishing", "exploding", "dead_units", "saturated", "stalled", "unstable", "overclipped")
STEPS = 3  # measured steps over which units must stay identical


def judge(history: History, limits: Thresholds) -> Finding | None:
    """Finds layers whose units are identical, at the start and now."""
    if len(history.observations) < STEPS or not history.first.symmetric or not history.latest.symmetric:
        return None
    layers, step = history.latest.symmetric, history.latest.step
    more = f", and those of {len(layers) - 1} more layers" if len(layers) > 1 else ""
    evidence = f"all units of {history.subject.name(layers[0])} have had identical weights since the start{more}"
    cause = "constant, zero or symmetric weights"
    return Finding("poor_init", layers[0], step, float(len(layers)), 0.0, evidence, cause, ADVICE)
