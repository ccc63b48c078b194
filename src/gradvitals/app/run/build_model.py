"""Builds the LightningModule of a config."""

from __future__ import annotations

import logging
from collections.abc import Container
from dataclasses import asdict, replace
from typing import Any

import torch
from lightning import LightningDataModule, LightningModule
from torch import nn

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.build_data import DataShape, as_table, describe
from gradvitals.app.run.memory_check import check_memory
from gradvitals.build import Spec, accepts, build, resolve
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from gradvitals.nets.init import lsuv_, mismatch
from gradvitals.nets.mlp import MLP
from gradvitals.nets.recurrent import Recurrent

log = logging.getLogger(__name__)
OURS = (MLP, Recurrent)
# What is offered to networks, which do not have it in their spec.
OFFERED = {"in_features", "in_shape", "out_features", "each_step", "act"}


def build_model(config: RunConfig, data: LightningDataModule) -> LightningModule:
    """Returns the network in a :class:`Classifier` that fits the data, or the user's own LightningModule.

    Raises:
        ConfigError, ValueError: arguments that do not fit, or a network that does not fit into memory.
    """
    target, spec = resolve_model(config["model"], config.overrides.typed_keys)
    if _is_module(target):
        return build(spec, LightningModule)
    shape = describe(data)
    if config["metrics"] != "auto":
        shape = replace(shape, metrics=config["metrics"])
    if target in OURS:
        _check_steps(target, data, shape)
        sizes: dict[str, Any] = {"in_features": shape.in_features, "in_shape": shape.in_shape}
        sizes |= {"out_features": shape.num_classes, "each_step": shape.each_step}
        with torch.device("meta"):  # where a network has shapes and takes no memory
            net = build(spec, nn.Module, sizes)
        if getattr(net, "readout", None) == "each" and not shape.each_step:
            raise ConfigError("model.readout: expected auto, last or mean, as samples have one target each; got each")
        takes = 2 * sum(parameter.nbytes for parameter in net.parameters())
        check_memory("model.width and model.depth", "weights and gradients", takes)
    act, init = config["act"], config["init"]
    groups: dict[str, Any] = {group: dict(config[group]) for group in ("act", "init", "optimizer", "scheduler", "clip")}
    if (table := as_table(data)) is not None and table.preparation is not None and table.description is not None:
        groups["preparation"] = replace(table.preparation, rows=table.description.rows).to_dict()
    model = Classifier(spec, loss=config["loss"], **asdict(shape), **groups)
    if init["name"] == "lsuv":
        splits = getattr(data, "splits", None)
        inputs = next(iter(data.train_dataloader()))[0] if splits is None else splits.train[:1024].inputs
        lsuv_(model.net, inputs, gain=init["gain"], output=init["output"] is None)
    if warning := mismatch(act["name"], init["name"]):
        log.warning(warning)
    return model


def resolve_model(spec: Spec, typed: Container[str]) -> tuple[Any, dict[str, Any]]:
    """Returns the class that a spec names, and the spec with the arguments that are meant for it.

    Where ``model._target_`` was typed over one of our models, the settings of that one are not the other network's.
    """
    target = resolve(spec.get("_target_", ""), nn.Module)
    settings = [set(accepts(net)[0]) - OFFERED for net in OURS]
    known = [ours for ours in settings if ours <= set(spec)]
    if target in OURS or not known:
        return target, dict(spec)
    return target, {key: value for key, value in spec.items() if key not in known[0] or f"model.{key}" in typed}


def _check_steps(target: type[nn.Module], data: LightningDataModule, shape: DataShape) -> None:
    """Refuses an MLP for sequences that it cannot take."""
    train = getattr(getattr(data, "splits", None), "train", None)
    if target is MLP and (shape.each_step or getattr(train, "lengths", None) is not None):
        what = "data with a target for each step" if shape.each_step else "sequences of different lengths"
        raise ConfigError(f"model: expected a recurrent network for {what}. Set model=gru, model=lstm or model=rnn")


def build_own_module(spec: Spec, typed: Container[str]) -> LightningModule | None:
    """Returns the user's own LightningModule; None where the spec names a network, which :class:`Classifier` trains."""
    target, arguments = resolve_model(spec, typed)
    return build(arguments, LightningModule) if _is_module(target) else None


def _is_module(target: Any) -> bool:
    return isinstance(target, type) and issubclass(target, LightningModule)
