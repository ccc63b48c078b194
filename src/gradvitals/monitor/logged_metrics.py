"""Which of the metrics that a module logs are witnesses of its progress."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gradvitals.diagnosis.metric import Metric
from gradvitals.results.objective import AUTO, mode_of

VALIDATION = {"val", "valid", "validation", "eval"}  # words of a name


def mode_for(metric: str, mode: str) -> str:
    """Returns ``min`` or ``max``: the mode, or where it is ``auto`` what the name of the metric says.

    Raises:
        ValueError: the name does not say it.

    Example:
        >>> mode_for("val/acc", "auto"), mode_for("depth", "min")
        ('max', 'min')
    """
    known = mode_of(metric) if mode == AUTO else mode
    if known is None:
        raise ValueError(
            f"monitor.mode: the name of the metric {metric!r} does not say whether lower or higher is better; "
            "expected min or max"
        )
    return known


def witnesses(names: Iterable[str], asked: str | None = None, mode: str = AUTO) -> list[Metric]:
    """Returns the metrics to watch, still without values: the one asked for, a validation loss, a validation metric.

    Of several validation losses the one with the shortest name is taken, because others are often terms of it.

    Example:
        >>> [(m.name, m.mode) for m in witnesses(["train/loss", "val/kl_loss", "val/loss", "val/acc", "val/depth"])]
        [('val/loss', 'min'), ('val/acc', 'max')]
    """
    logged = list(names)
    validated = [name for name in logged if VALIDATION.intersection(re.split(r"[^a-z0-9]+", name.lower()))]
    losses = sorted((name for name in validated if "loss" in name.lower()), key=len)
    others = [name for name in validated if name not in losses and mode_of(name)]
    found = [Metric(name, "min", is_loss=True) for name in losses[:1]]
    found += [Metric(name, mode_for(name, AUTO)) for name in others[:1]]
    if asked not in logged:
        return found
    is_loss = asked in losses
    return [Metric(asked, mode_for(asked, mode), True, is_loss), *(m for m in found if m.name != asked)]
