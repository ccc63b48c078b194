"""Reading checkpoints: plain values only, and a plain word where a file is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch


def read(path: Path, key: str) -> dict[str, Any]:
    """The content of a checkpoint; no code in it is run (``weights_only=True``).

    Args:
        path: the file.
        key: the setting that named it, for the error.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no Lightning checkpoint.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{key}: expected a checkpoint or a run directory; there is no {path}")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever the bytes lead it to
        raise ValueError(f"{key}={path}: expected a checkpoint; cannot read it ({type(error).__name__})") from error
    if not isinstance(checkpoint, dict) or not {"state_dict", "global_step"} <= set(checkpoint):
        raise ValueError(f"{key}={path}: expected a checkpoint that Lightning wrote; it holds no state_dict")
    return checkpoint


def load_weights(model: Any, source: str) -> None:
    """Weights of a checkpoint, or of a run's last one, into a model; nothing else of it.

    Raises:
        FileNotFoundError: no such file, or a directory without checkpoints.
        ValueError: the checkpoint's network is another one; it says what differs.
    """
    path = Path(source) / "checkpoints" / "last.ckpt" if Path(source).is_dir() else Path(source)
    try:
        model.load_state_dict(read(path, "weights")["state_dict"])
    except RuntimeError as error:
        differences = " ".join(str(error).split()[:40])
        raise ValueError(f"weights={source}: expected a checkpoint of the same network; {differences}") from None
