"""Reads checkpoints: plain values only, and one line of error for a file that is not a checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradvitals.checkpoints.locate import SAFETENSORS
from gradvitals.checkpoints.verify import is_whole

ALWAYS = {"state_dict": dict, "global_step": int}  # keys of every checkpoint, and their types


def read(path: Path, key: str) -> dict[str, Any]:
    """Reads a whole checkpoint; no code in it is run (``weights_only=True``).

    Args:
        key: the setting that named it, for the error.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is damaged or not a Lightning checkpoint, or a weight is NaN.
    """
    require_whole(path, key)
    checkpoint = _load(path, key)
    require_numbers(checkpoint["state_dict"], f"{key}={path}")
    return checkpoint


def read_header(path: Path, key: str) -> dict[str, Any]:
    """Reads a checkpoint whose tensors stay in the file until they are used.

    No checksums are compared. The file is mapped into memory while any of the tensors is referenced.
    """
    require_file(path, key)
    return _load(path, key, mmap=True)


def read_weights(path: Path, key: str) -> dict[str, Any]:
    """Reads the weights of a checkpoint, or of a file of weights alone (``.safetensors``)."""
    if path.suffix != SAFETENSORS:
        return read(path, key)["state_dict"]
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    require_file(path, key)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{key}={path}: expected weights; cannot read it ({error})") from error
    require_numbers(state, f"{key}={path}")
    return state


def read_preparation(path: Path, key: str) -> Any:
    """Returns what was fitted to the training table, as plain values, from a checkpoint or a file of weights.

    Returns:
        None where the file contains none: the model was trained on other data, or by an earlier version.
    """
    if path.suffix == SAFETENSORS:
        found = _metadata(path, key).get("hyper_parameters")
    else:
        found = read_header(path, key).get("hyper_parameters")
    return found.get("preparation") if isinstance(found, dict) else None


def _metadata(path: Path, key: str) -> dict[str, Any]:
    """Returns the header of a file of weights; empty where another program wrote it."""
    from safetensors import SafetensorError, safe_open

    require_file(path, key)
    try:
        with safe_open(path, "pt") as file:
            return {name: json.loads(text) for name, text in (file.metadata() or {}).items() if text.startswith("{")}
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{key}={path}: expected weights; cannot read it ({error})") from error
    except ValueError:
        return {}


def _load(path: Path, key: str, mmap: bool | None = None) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch raises whatever the bytes lead it to
        reason = "it contains code, which is not run" if "weights_only" in str(error) else type(error).__name__
        raise ValueError(f"{key}={path}: expected a checkpoint; cannot read it ({reason})") from error
    require_keys(checkpoint, ALWAYS, f"{key}={path}: expected a checkpoint that Lightning wrote")
    return checkpoint


def require_keys(content: Any, types: Mapping[str, type], expected: str) -> None:
    """Raises a ValueError that begins with ``expected`` where a key is missing or its value is of another type."""
    if not isinstance(content, dict):
        raise ValueError(f"{expected}; it is a {type(content).__name__}")
    for name, kind in types.items():
        if name not in content:
            raise ValueError(f"{expected}; it has no {name}")
        if not isinstance(content[name], kind):
            raise ValueError(f"{expected}; its {name} is a {type(content[name]).__name__}, expected {kind.__name__}")


def require_numbers(state: Mapping[Any, Any], named: str) -> None:
    """Raises a ValueError for the first weight that is NaN; ``named`` is the setting and the file."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.isnan().any():
            raise ValueError(f"{named}: expected weights; {name} is not a number (NaN). Choose an earlier checkpoint")


def require_file(path: Path, key: str) -> None:
    """Raises FileNotFoundError or ValueError where there is no file; ``key`` is the setting that named it."""
    if path.is_dir():
        raise ValueError(f"{key}={path}: expected a checkpoint; it is a directory")
    if not path.is_file():
        raise FileNotFoundError(f"{key}: expected a checkpoint or a run directory; there is no {path}")


def require_whole(path: Path, key: str) -> None:
    """Raises FileNotFoundError or ValueError where there is no file, or where it is damaged."""
    require_file(path, key)
    if not is_whole(path):
        raise ValueError(
            f"{key}={path}: expected a checkpoint; cannot read it (damaged, or not a file that torch.save wrote)"
        )
