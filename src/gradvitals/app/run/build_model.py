"""Builds the LightningModule of a config."""

from __future__ import annotations

import logging
from typing import Any

from lightning import LightningDataModule, LightningModule
from torch import Tensor, nn

from gradvitals.app.run.build_data import describe
from gradvitals.build import Spec, accepts, build, resolve
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from gradvitals.nets.init import lsuv_, remark
from gradvitals.nets.mlp import MLP

log = logging.getLogger(__name__)

# Keys that have no part in a LightningModule of one's own, which brings its own.
NO_PART = ("act", "init", "optimizer", "scheduler", "loss")


def build_model(config: Spec, data: LightningDataModule) -> LightningModule:
    """The network in a :class:`Classifier` that fits the data, or the user's own LightningModule."""
    typed = config.get("typed", [])
    if own := build_own_module(config["model"], typed):
        _refuse_without_part(typed, config["clip"]["name"])
        return own
    spec = _own_keys(config["model"], typed)
    if words := remark(config["act"]["name"], config["init"]["name"]):
        log.warning(words)
    pieces = {key: dict(config[key]) for key in ("act", "init", "optimizer", "scheduler", "clip")}
    model = Classifier(spec, loss=config["loss"], **describe(data), **pieces)  # type: ignore[arg-type]
    init = config["init"]
    if init["name"] == "lsuv":
        lsuv_(model.net, _some_inputs(data), gain=init["gain"], output=init["output"] is None)
    return model


def build_own_module(spec: Spec, typed: list[str]) -> LightningModule | None:
    """The user's own LightningModule; None where the spec names a network, which :class:`Classifier` trains."""
    target = resolve(spec.get("_target_", ""), nn.Module)
    if isinstance(target, type) and issubclass(target, LightningModule):
        return build(_own_keys(spec, typed), LightningModule)
    return None


def _own_keys(spec: Spec, typed: list[str]) -> dict[str, Any]:
    """Where ``model._target_`` was typed over one of our models, the MLP's settings are not the other network's."""
    ours = set(accepts(MLP)[0]) - {"in_features", "out_features", "act"}
    if resolve(spec["_target_"], nn.Module) is MLP or not ours <= set(spec):
        return dict(spec)
    return {key: value for key, value in spec.items() if key not in ours or f"model.{key}" in typed}


def _refuse_without_part(typed: list[str], clip: str) -> None:
    """A LightningModule of one's own brings its loss, optimizer and weights; what would be ignored is refused."""
    idle = [key for key in typed if key.partition(".")[0] in NO_PART]
    idle += [f"clip={clip}"] if clip not in ("none", "norm", "value") else []
    if idle:
        raise ConfigError(
            f"{idle[0]}: has no part in a LightningModule of your own, which brings its own; leave it out"
        )


def _some_inputs(data: LightningDataModule, samples: int = 1024) -> Tensor:
    splits = getattr(data, "splits", None)
    return splits.train.x[:samples] if splits is not None else next(iter(data.train_dataloader()))[0]
