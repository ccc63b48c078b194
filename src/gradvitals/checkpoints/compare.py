"""Compares checkpoints with models: whose weights they are, and whether a fit can resume from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from lightning import LightningModule
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from gradvitals.checkpoints.read import (
    read,
    read_header,
    read_weights,
    require_keys,
    require_numbers,
    require_whole,
)
from gradvitals.classifier import Classifier
from gradvitals.formatting import shortened

RESUMABLE = {  # keys of a checkpoint that a fit resumes from, and their types
    "epoch": int,
    "loops": dict,
    "callbacks": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "pytorch-lightning_version": str,
}
SHOWN = 3  # names of each kind of difference


def load_weights(model: nn.Module, path: Path, key: str = "weights") -> None:
    """Loads the weights of a file, and nothing else of it, into a model.

    Raises:
        FileNotFoundError, ValueError: see :func:`gradvitals.checkpoints.read.read`; or the file is of another network.
    """
    state = read_weights(path, key)
    check_fits(model, state, f"{key}={path}")
    model.load_state_dict(state)


def rebuild(path: Path, key: str) -> Classifier:
    """Builds the model of a checkpoint from the checkpoint alone.

    Raises:
        FileNotFoundError, ValueError: see :func:`gradvitals.checkpoints.read.read`; or wrong hyperparameters.
    """
    checkpoint = read(path, key)
    require_keys(checkpoint, {"hyper_parameters": dict}, f"{key}={path}: expected a checkpoint of a Classifier")
    try:
        model = Classifier(**checkpoint["hyper_parameters"])
    except Exception as error:  # whatever wrong values lead to
        raise ValueError(f"{key}={path}: expected hyperparameters of a Classifier; {error}") from error
    check_fits(model, checkpoint["state_dict"], f"{key}={path}")
    model.load_state_dict(checkpoint["state_dict"])
    return model


def check_resumable(model: LightningModule, path: Path, train: bool, verify: bool = True) -> dict[str, Any]:
    """Reads a checkpoint's header, and refuses one that a model cannot resume from, or be tested with.

    Lightning reads the tensors later, and compares no checksums.

    Args:
        train: whether the model is to be trained, or only tested.
        verify: whether to compare the file's checksums; False where this or another process has done so.

    Raises:
        FileNotFoundError, ValueError: see :func:`gradvitals.checkpoints.read.read`; or a key that a fit needs.
    """
    if verify:
        require_whole(path, "ckpt_path")
    checkpoint = read_header(path, "ckpt_path")
    require_numbers(checkpoint["state_dict"], f"ckpt_path={path}")
    if train:
        expected = f"ckpt_path={path}: expected a checkpoint to resume from (weights={path} starts afresh)"
        require_keys(checkpoint, RESUMABLE, expected)
        require_keys(checkpoint["loops"], {"fit_loop": dict}, expected)
        for state in checkpoint["optimizer_states"]:
            require_keys(state, {"state": dict, "param_groups": list}, expected)
    if isinstance(model, Classifier):  # a model of the user's own may be built later, or load in its own way
        check_fits(model, checkpoint["state_dict"], f"ckpt_path={path}")
    return checkpoint


def check_fits(model: nn.Module, state: Mapping[str, Any], named: str) -> None:
    """Refuses the weights of another network.

    Raises:
        ValueError: it names what is missing, what is unexpected, and what has another shape.

    Example:
        >>> check_fits(nn.Linear(2, 1), {"weight": Tensor(3, 2), "scale": Tensor(1)}, "weights=a.ckpt")
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
            yield f"{kind} {shortened(names, SHOWN)}"


def _shape(value: Any) -> str:
    return "x".join(map(str, value.shape)) or "one number" if isinstance(value, Tensor) else f"a {type(value).__name__}"
