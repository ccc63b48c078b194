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
from gradvitals.app.run.build_data import as_table, describe
from gradvitals.app.run.memory_check import check_memory
from gradvitals.build import Spec, accepts, build, resolve
from gradvitals.classifier import Classifier
from gradvitals.nets.init import lsuv_, mismatch
from gradvitals.nets.mlp import MLP

log = logging.getLogger(__name__)


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
    if target is MLP:
        with torch.device("meta"):  # where a network has shapes and takes no memory
            net = build(spec, MLP, {"in_features": shape.in_features, "out_features": shape.num_classes})
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

    Where ``model._target_`` was typed over one of our models, the settings of the MLP are not the other network's.
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
