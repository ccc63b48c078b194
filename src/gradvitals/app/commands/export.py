"""Writes the weights of a run to a file of plain numbers and strings, which is read without torch's unpickler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradvitals.checkpoints.locate import SAFETENSORS
from gradvitals.checkpoints.read import read
from gradvitals.errors import ConfigError
from gradvitals.results.files import write_bytes
from gradvitals.results.provenance import versions
from gradvitals.results.record import read as read_run
from gradvitals.results.run_names import require_directory


def export(run_dir: Path, checkpoint: str = "best", output: Path | None = None) -> Path:
    """Writes the weights of a run as safetensors and returns the file.

    Args:
        checkpoint: ``best`` or ``last``.
        output: the file; None: ``RUN_DIR/CHECKPOINT.safetensors``.

    Raises:
        ConfigError: a file name without the suffix of safetensors.
        FileNotFoundError, ValueError: see :func:`gradvitals.checkpoints.read.read`.
    """
    from safetensors.torch import save

    file = output or run_dir / f"{checkpoint}{SAFETENSORS}"
    if file.suffix != SAFETENSORS:
        raise ConfigError(f"--output: expected FILE{SAFETENSORS}; got {file}")
    require_directory(run_dir)
    content = read(run_dir / "checkpoints" / f"{checkpoint}.ckpt", "checkpoint")
    weights = {name: value.contiguous().clone() for name, value in content["state_dict"].items()}  # none shares memory
    write_bytes(file, save(weights, metadata(run_dir, content)))
    return file


def metadata(run_dir: Path, content: dict[str, Any]) -> dict[str, str]:
    """Returns the header of the file: plain strings, JSON where there are several values."""
    several = {
        "config": read_run(run_dir).config,
        "hyper_parameters": content.get("hyper_parameters", {}),
        "versions": versions(),
    }
    words = {name: json.dumps(value, default=str) for name, value in several.items()}
    return {"format": "pt", "steps": str(content["global_step"]), "epoch": str(content.get("epoch")), **words}
