"""What a config's net and data take of memory at least, told before a machine runs out of it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from gradvitals.app.errors import Refused

FLOAT = 4  # bytes
MLP, NOISE = "gradvitals.nets.mlp.MLP", "gradvitals.data.noise.Noise"


def check_memory(config: Mapping[str, Any]) -> None:
    """Refuse a net whose weights and gradients, or drawn data which, this machine cannot hold.

    Raises:
        Refused: with what it would take and what there is.
    """
    model, data, has = config["model"], config["data"], _machine()
    if model.get("_target_") == MLP and (takes := 2 * FLOAT * hidden_weights(model)) > has:
        raise Refused(
            f"model.width and model.depth: expected a net that fits in {has / 1e9:.0f} GB of memory; got one whose "
            f"weights and gradients take {takes / 1e9:,.0f} GB"
        )
    if data.get("_target_") == NOISE and (takes := 3 * FLOAT * data["num_samples"] * data["num_features"]) > has:
        raise Refused(
            f"data.num_samples and data.num_features: expected data that fit in {has / 1e9:.0f} GB of memory; got "
            f"{takes / 1e9:,.0f} GB"
        )


def hidden_weights(model: Mapping[str, Any]) -> int:
    """Weights between hidden layers, each of which is given the last ``reach`` of them where they are concatenated.

    Example:
        >>> hidden_weights({"hidden": [2, 3, 4], "skip": "concat"})
        26
    """
    hidden = model.get("hidden")
    widths = [model.get("width", 1)] * model.get("depth", 0) if hidden is None else hidden
    reach = (model.get("reach") or len(widths)) if model.get("skip") == "concat" else 1
    before = [0, *accumulate(widths)]
    return sum(size * (before[i] - before[max(0, i - reach)]) for i, size in enumerate(widths))


def _machine() -> float:
    """Bytes of memory; endless where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return float("inf")
