"""What to type for a run that is long enough for a verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

ENOUGH = 500  # steps, after which nearly every run is decided
LEAST = 3  # times as long


def longer(overrides: Iterable[str], config: Mapping[str, Any], steps: int | None) -> list[str]:
    """Returns the overrides of the same run with more epochs or steps.

    Args:
        config: the composed config, whose ``trainer`` says how long the run was to be.
        steps: that it trained; None: unknown.

    Example:
        >>> longer(["act=elu", "trainer.max_epochs=1"], {"trainer": {"max_epochs": 1, "max_steps": -1}}, 40)
        ['act=elu', 'trainer.max_epochs=13']
    """
    trainer = config.get("trainer") or {}
    factor = max(LEAST, ENOUGH / steps if steps else 0)
    lengths = {f"trainer.{key}": trainer.get(key) for key in ("max_epochs", "max_steps")}
    limits = {key: n for key, n in lengths.items() if isinstance(n, int) and n > 0}
    kept = [override for override in overrides if override.lstrip("+").partition("=")[0] not in limits]
    return [*kept, *(f"{key}={math.ceil(n * factor)}" for key, n in limits.items())]
