"""The published networks as command lines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ZOO = json.loads(Path(__file__).with_name("published.json").read_text())
DATA = {"circle": "circles", "blob": "blobs"}
INIT = {"uniform_0.05": "uniform"}
EPOCHS = 300


def overrides(net: dict[str, Any], seed: int) -> list[str]:
    """What to type for one of the networks: its recipe, Adam at 1e-3, batches of 128, 300 epochs."""
    return [
        f"data={DATA[net['data']]}",
        "data.batch_size=128",
        "model=plain",
        f"model.depth={net['hidden_layers']}",
        f"model.width={net['width']}",
        f"act={net['act']}",
        f"init={INIT.get(net['init'], net['init'])}",
        "init.output=he_uniform",
        "optimizer=adam",
        "optimizer.lr=0.001",
        f"seed={seed}",
        f"trainer.max_epochs={EPOCHS}",
    ]


def outcome(accuracy: float, healthy: float, control: bool) -> str:
    """``sick``, ``healthy`` or ``not counted``, by the accuracy alone.

    Example:
        >>> [outcome(accuracy, 0.8, control=False) for accuracy in (0.7, 0.74, 0.77)]
        ['sick', 'not counted', 'healthy']
    """
    if accuracy >= 0.95 * healthy:
        return "healthy"
    return "sick" if accuracy < 0.9 * healthy and not control else "not counted"
