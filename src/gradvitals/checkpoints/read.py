"""Reading checkpoints: plain values only, and a plain word where a file is none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradvitals.checkpoints.locate import SAFETENSORS, is_whole
from gradvitals.classifier import Classifier

HOLDS = {"state_dict": dict, "global_step": int}  # what every checkpoint does
CONTINUES = {  # what one that a fit goes on from does, too
    "epoch": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "pytorch-lightning_version": str,
}
SHOWN = 3  # names of each kind of difference


def read(path: Path, key: str) -> dict[str, Any]:
    """The content of a checkpoint; no code in it is run (``weights_only=True``).

    Args:
        path: the file.
        key: the setting that named it, for the error.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no Lightning checkpoint, is damaged, or its weights are no numbers.
    """
    _need_whole(path, key)
    checkpoint = _load(path, key)
    _need_numbers(checkpoint["state_dict"], f"{key}={path}")
    return checkpoint


def read_header(path: Path, key: str) -> dict[str, Any]:
    """Returns the content of a checkpoint whose tensors stay in the file until they are used.

    No checksums are compared. The file is mapped into memory while any of the tensors is referenced.

    Raises:
        FileNotFoundError, ValueError: see :func:`read`.
    """
    _need_file(path, key)
    return _load(path, key, mmap=True)


def _need_whole(path: Path, key: str) -> None:
    _need_file(path, key)
    if not is_whole(path):  # torch itself compares no checksums
        raise ValueError(
            f"{key}={path}: expected a checkpoint; cannot read it (damaged, or no file that torch.save wrote)"
        )


def _load(path: Path, key: str, mmap: bool | None = None) -> dict[str, Any]:
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except Exception as error:  # torch raises whatever the bytes lead it to
        reason = "it holds code, which is not run" if "weights_only" in str(error) else type(error).__name__
        raise ValueError(f"{key}={path}: expected a checkpoint; cannot read it ({reason})") from error
    _need_keys(checkpoint, HOLDS, f"{key}={path}: expected a checkpoint that Lightning wrote")
    return checkpoint


def _need_file(path: Path, key: str) -> None:
    if path.is_dir():
        raise ValueError(f"{key}={path}: expected a checkpoint; it is a directory")
    if not path.is_file():
        raise FileNotFoundError(f"{key}: expected a checkpoint or a run directory; there is no {path}")


def _need_keys(checkpoint: Any, kinds: Mapping[str, type], expected: str) -> None:
    if not isinstance(checkpoint, dict):
        raise ValueError(f"{expected}; it holds a {type(checkpoint).__name__}")
    for name, kind in kinds.items():
        if name not in checkpoint:
            raise ValueError(f"{expected}; it holds no {name}")
        if not isinstance(checkpoint[name], kind):
            raise ValueError(f"{expected}; its {name} is a {type(checkpoint[name]).__name__}, no {kind.__name__}")


def _need_numbers(state: Mapping[Any, Any], named: str) -> None:
    for name, value in state.items():
        if isinstance(value, Tensor) and value.is_floating_point() and value.isnan().any():
            raise ValueError(f"{named}: expected weights; {name} is not a number (NaN). Choose an earlier checkpoint")


def read_weights(path: Path, key: str) -> dict[str, Any]:
    """The weights of a checkpoint, or of a file of weights alone (``.safetensors``).

    Raises:
        FileNotFoundError, ValueError: see :func:`read`.
    """
    if path.suffix != SAFETENSORS:
        return read(path, key)["state_dict"]
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    _need_file(path, key)
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{key}={path}: expected weights; cannot read it ({error})") from error
    _need_numbers(state, f"{key}={path}")
    return state


def load_weights(model: nn.Module, path: Path, key: str = "weights") -> None:
    """Weights of a file into a model; nothing else of it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file's network is another one; it says what differs.
    """
    state = read_weights(path, key)
    check_fits(model, state, f"{key}={path}")
    model.load_state_dict(state)


def rebuild(path: Path, key: str) -> Classifier:
    """The model of a checkpoint, made from what stands in it alone.

    Raises:
        FileNotFoundError, ValueError: see :func:`read`; or no model can be made of its hyperparameters.
    """
    checkpoint = read(path, key)
    _need_keys(checkpoint, {"hyper_parameters": dict}, f"{key}={path}: expected a checkpoint of a Classifier")
    try:
        model = Classifier(**checkpoint["hyper_parameters"])
    except Exception as error:  # whatever wrong values lead to
        raise ValueError(f"{key}={path}: expected hyperparameters of a Classifier; {error}") from error
    check_fits(model, checkpoint["state_dict"], f"{key}={path}")
    model.load_state_dict(checkpoint["state_dict"])
    return model


def check_continues(model: LightningModule, path: Path, train: bool, verify: bool = True) -> dict[str, Any]:
    """Reads a checkpoint's header, and refuses one that a model cannot continue from, or be tested with.

    Lightning reads the tensors later, and compares no checksums.

    Args:
        model: that continues.
        path: the checkpoint.
        train: whether the model is to be trained on, or only tested.
        verify: whether to compare the file's checksums; False where that was done when the file was chosen, or where
            another process does it.

    Raises:
        FileNotFoundError, ValueError: see :func:`read`; or something is missing that a fit goes on from.
    """
    if verify:
        _need_whole(path, "ckpt_path")
    checkpoint = read_header(path, "ckpt_path")
    _need_numbers(checkpoint["state_dict"], f"ckpt_path={path}")
    if train:
        expected = f"ckpt_path={path}: expected a checkpoint to continue from (weights={path} starts afresh)"
        _need_keys(checkpoint, CONTINUES, expected)
        _need_keys(checkpoint["loops"], {"fit_loop": dict}, expected)
        for state in checkpoint["optimizer_states"]:
            _need_keys(state, {"state": dict, "param_groups": list}, expected)
    if isinstance(model, Classifier):  # a model of one's own may be made later, or load in its own way
        check_fits(model, checkpoint["state_dict"], f"ckpt_path={path}")
    return checkpoint


def check_fits(model: nn.Module, state: Mapping[str, Any], named: str) -> None:
    """Refuse weights of another network.

    Raises:
        ValueError: it names what is missing, what is too many, and what has another shape.

    Example:
        >>> check_fits(nn.Linear(2, 1), {"weight": torch.zeros(3, 2), "scale": torch.ones(1)}, "weights=a.ckpt")
        Traceback (most recent call last):
        ...
        ValueError: weights=a.ckpt: expected a checkpoint of the same network; missing bias; unexpected scale; other shapes weight (3x2, expected 1x2)
    """  # noqa: E501
    if found := "; ".join(_differences(model.state_dict(), state)):
        raise ValueError(f"{named}: expected a checkpoint of the same network; {found}")


def _differences(wanted: Mapping[str, Tensor], state: Mapping[str, Any]) -> Iterator[str]:
    fixed = {name: value for name, value in wanted.items() if isinstance(value, Tensor) and not is_lazy(value)}
    shapes = [
        f"{name} ({_shape(state[name])}, expected {_shape(value)})"
        for name, value in fixed.items()
        if name in state and _shape(state[name]) != _shape(value)
    ]
    kinds = {
        "missing": [name for name in wanted if name not in state],
        "unexpected": [str(name) for name in state if name not in wanted],
        "other shapes": shapes,
    }
    for kind, names in kinds.items():
        if names:
            more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
            yield f"{kind} {', '.join(names[:SHOWN])}{more}"


def _shape(value: Any) -> str:
    return "x".join(map(str, value.shape)) or "one number" if isinstance(value, Tensor) else f"a {type(value).__name__}"
