"""Reading checkpoints: plain values only, and a plain word where a file is none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from gradvitals.report.records import read_result

LAST, LATEST = "checkpoints/last.ckpt", "latest:"


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


def locate(source: str, logs: str) -> Path:
    """The checkpoint that ``weights`` names.

    Args:
        source: a checkpoint; a run directory, for its last one; or ``latest:EXPERIMENT``, for that of the latest
            completed run of that experiment as it stands.
        logs: the folder under which runs lie.

    Raises:
        FileNotFoundError: no completed run of that experiment.
    """
    if not source.startswith(LATEST):
        return Path(source) / LAST if Path(source).is_dir() else Path(source)
    runs = [path.parents[1] for path in Path(logs).glob(f"*/*/**/{LAST}")]
    typed = f"experiment={source.removeprefix(LATEST)}"
    found = [run / LAST for run in runs if _is_completed(run, typed)]
    if not found:
        raise FileNotFoundError(
            f"weights={source}: expected a completed run of {typed} as it stands under {logs}; there is none. "
            f"Train it by python src/train.py {typed}, or set weights=RUN_DIR"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


# What may be typed beside an experiment and leave its net, data and training as they are.
HARMLESS = ("seed=", "tags=", "threads=", "task_name=", "data.root=", "logger", "hydra.", "paths.", "monitor")


def _is_completed(run: Path, experiment: str) -> bool:
    """Whether a run is complete and is that experiment as it stands, not a variant of it."""
    result = read_result(run)
    others = [word for word in result.get("overrides", []) if word != experiment]
    as_it_stands = len(others) < len(result.get("overrides", [])) and all(o.startswith(HARMLESS) for o in others)
    return result.get("status") == "completed" and as_it_stands


def load_weights(model: Any, path: Path) -> None:
    """Weights of a checkpoint into a model; nothing else of it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the checkpoint's network is another one; it says what differs.
    """
    try:
        model.load_state_dict(read(path, "weights")["state_dict"])
    except RuntimeError as error:
        differences = " ".join(str(error).split()[:40])
        raise ValueError(f"weights={path}: expected a checkpoint of the same network; {differences}") from None
