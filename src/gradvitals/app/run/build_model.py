"""Builds the LightningModule of a config."""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import asdict
from typing import Any

import torch
from lightning import LightningDataModule, LightningModule
from torch import nn

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.build_data import DataShape, describe, some_inputs
from gradvitals.app.run.memory import check_memory
from gradvitals.build import Spec, accepts, build, resolve
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from gradvitals.nets.init import lsuv_, remark
from gradvitals.nets.mlp import MLP

log = logging.getLogger(__name__)

# Groups that a user's LightningModule decides itself.
OF_A_MODULE = ("act", "init", "optimizer", "scheduler", "loss")


def build_model(config: RunConfig, data: LightningDataModule) -> LightningModule:
    """Returns the network in a :class:`Classifier` that fits the data, or the user's own LightningModule.

    Raises:
        ConfigError, ValueError: arguments that do not fit, or a network that does not fit into memory.
    """
    target, spec = resolve_model(config["model"], config.overrides.typed_keys)
    if _is_module(target):
        _refuse_ignored(config)
        return build(spec, LightningModule)
    shape = describe(data)
    if target is MLP:
        _check_memory(spec, shape)
    groups: dict[str, Any] = {group: dict(config[group]) for group in ("act", "init", "optimizer", "scheduler", "clip")}
    model = Classifier(spec, loss=config["loss"], **asdict(shape), **groups)
    act, init = config["act"], config["init"]
    if warning := remark(act["name"], init["name"]):
        log.warning(warning)
    if init["name"] == "lsuv":
        lsuv_(model.net, some_inputs(data), gain=init["gain"], output=init["output"] is None)
    return model


def resolve_model(spec: Spec, typed: Container[str]) -> tuple[Any, dict[str, Any]]:
    """Returns the class that a spec names, and the spec with the arguments that are meant for it.

    Where ``model._target_`` was typed over one of our models, the settings of the MLP are not the other network's.

    Args:
        spec: the group ``model``.
        typed: the keys that were typed.
    """
    target = resolve(spec.get("_target_", ""), nn.Module)
    ours = set(accepts(MLP)[0]) - {"in_features", "out_features", "act"}
    if target is MLP or not ours <= set(spec):
        return target, dict(spec)
    return target, {key: value for key, value in spec.items() if key not in ours or f"model.{key}" in typed}


def build_own_module(spec: Spec, typed: Container[str]) -> LightningModule | None:
    """Returns the user's own LightningModule; None where the spec names a network, which :class:`Classifier` trains."""
    target, arguments = resolve_model(spec, typed)
    return build(arguments, LightningModule) if _is_module(target) else None


def _is_module(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, LightningModule)


def decided_by(target: Any) -> tuple[str, ...]:
    """Returns the groups that a class of the user decides itself, so that no remedy changes them.

    Args:
        target: the class of the network, or of the user's LightningModule.
    """
    return () if target is MLP else ("model", *(OF_A_MODULE if _is_module(target) else ()))


def _refuse_ignored(config: RunConfig) -> None:
    clip = config["clip"]["name"]
    ignored = [key for key in config.overrides.typed_keys if key.partition(".")[0] in OF_A_MODULE]
    ignored += [f"clip={clip}"] if clip not in ("none", "norm", "value") else []
    if ignored:
        raise ConfigError(
            f"{ignored[0]}: has no part in a LightningModule of your own, which brings its own; leave it out"
        )


def _check_memory(spec: Spec, shape: DataShape) -> None:
    """On the meta device a network has shapes and takes no memory."""
    with torch.device("meta"):
        net = build(spec, MLP, {"in_features": shape.in_features, "out_features": shape.num_classes})
    takes = 2 * sum(parameter.nbytes for parameter in net.parameters())
    check_memory("model.width and model.depth", "weights and gradients", takes)
