"""From a resolved config, plain values, to the objects of a run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from gradvitals.app.errors import Refused
from gradvitals.build import accepts, build, resolve
from gradvitals.callbacks.history import History
from gradvitals.classifier import Classifier
from gradvitals.nets.init import lsuv_, remark
from gradvitals.nets.mlp import MLP

log = logging.getLogger(__name__)
Config = Mapping[str, Any]

# Below so many multiplications a step, a second thread costs more in waiting than it saves (measured on two cores).
SMALL_STEP = 2e8


@dataclass
class Run:
    """Everything that takes part in one run."""

    trainer: Trainer
    model: LightningModule
    data: LightningDataModule
    history: History

    @property
    def checkpoint(self) -> ModelCheckpoint | None:
        """The callback that keeps the best weights."""
        return next((c for c in self.trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)), None)


def assemble(config: Config) -> Run:
    """Build a run; whatever is wrong with the config is raised here, before training.

    Raises:
        ValueError: with a message for the user.
    """
    data = build(config["data"], LightningDataModule)
    model = build_model(config, data)
    set_threads(config["threads"], model, config["data"].get("batch_size", 1))
    history = History()
    return Run(build_trainer(config, history), model, data, history)


def build_model(config: Config, data: LightningDataModule) -> LightningModule:
    """The network in a :class:`Classifier` that fits the data, or the user's own LightningModule."""
    spec = config["model"]
    target = resolve(spec.get("_target_", ""), nn.Module)
    spec = _without_foreign_keys(spec, target)
    if isinstance(target, type) and issubclass(target, LightningModule):
        return build(spec, LightningModule)
    for words in filter(None, [remark(config["act"]["name"], config["init"]["name"])]):
        log.warning(words)
    pieces = {key: dict(config[key]) for key in ("act", "init", "optimizer", "scheduler", "clip")}
    model = Classifier(spec, loss=config["loss"], **describe(data), **pieces)  # type: ignore[arg-type]
    if config["init"]["name"] == "lsuv":
        lsuv_(model.net, _some_inputs(data))
    return model


def _without_foreign_keys(spec: Config, target: Any) -> dict[str, Any]:
    """The MLP's settings stay behind where `model._target_` names another network that does not take them."""
    takes, open_ended = accepts(target)
    if target is MLP or open_ended:
        return dict(spec)
    left_out = [key for key in spec if key in accepts(MLP)[0] and key not in takes]
    if left_out:
        log.info(f"{spec['_target_']} takes none of: {', '.join(left_out)}; they are left out")
    return {key: value for key, value in spec.items() if key not in left_out}


def _step_of(ckpt_path: str) -> int:
    """The optimizer step at which a checkpoint was written."""
    if not Path(ckpt_path).is_file():
        raise FileNotFoundError(f"ckpt_path: expected a checkpoint; there is no {ckpt_path}")
    return torch.load(ckpt_path, map_location="cpu", weights_only=True)["global_step"]


def describe(data: LightningDataModule) -> dict[str, Any]:
    """What a network must know of the data: ``in_features``, ``num_classes`` and ``task``.

    Ours say so themselves (``splits``); of a module of one's own, attributes of these names are taken, and what is
    missing is read off the first training batch.
    """
    data.prepare_data()
    data.setup("fit")
    splits = getattr(data, "splits", None)
    if splits is not None:
        return {
            "in_features": splits.train.x[0].numel(),
            "num_classes": splits.num_classes,
            "task": splits.task,
        }
    x, y = next(iter(data.train_dataloader()))
    task = getattr(data, "task", "regression" if y.is_floating_point() else "multiclass")
    num_classes = getattr(data, "num_classes", {"regression": 1, "binary": 2}.get(task))
    if num_classes is None:
        raise Refused(f"{type(data).__name__}: expected an attribute num_classes beside integer targets; there is none")
    return {"in_features": getattr(data, "in_features", x[0].numel()), "num_classes": num_classes, "task": task}


def _some_inputs(data: LightningDataModule, samples: int = 1024) -> Tensor:
    splits = getattr(data, "splits", None)
    return splits.train.x[:samples] if splits is not None else next(iter(data.train_dataloader()))[0]


def set_threads(threads: int | str, model: nn.Module, batch_size: int) -> None:
    """Set torch's intra-op threads; ``auto``: one for a small net, else every core this process may use."""
    if threads == "auto":
        multiplications = batch_size * sum(p.numel() for p in model.parameters())
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        threads = 1 if multiplications < SMALL_STEP else cores
    torch.set_num_threads(int(threads))


def build_trainer(config: Config, history: History) -> Trainer:
    """The Trainer with its callbacks and loggers; quiet where the output is no terminal."""
    arguments = dict(config["trainer"])
    clip = config["clip"]
    if clip["name"] in ("norm", "value"):
        arguments |= {"gradient_clip_val": clip["val"], "gradient_clip_algorithm": clip["name"]}
    specs = [config["monitor"], *config["callbacks"].values()]
    callbacks = [build(spec, Callback) for spec in specs if spec and spec.get("_target_")]
    if not sys.stdout.isatty():
        callbacks = [c for c in callbacks if not isinstance(c, (ProgressBar, ModelSummary))]
    loggers = [_build_logger(spec, config["ckpt_path"]) for spec in config["logger"].values() if spec]
    return Trainer(
        **arguments,
        callbacks=[*callbacks, history],
        logger=loggers or False,
        default_root_dir=config["paths"]["run"],
        enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
        enable_model_summary=any(isinstance(c, ModelSummary) for c in callbacks),
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
    )


def _build_logger(spec: Config, ckpt_path: str | None) -> Logger:
    """A logger; TensorBoard's hides the points after the checkpoint that a run continues from, which come again."""
    offers = {"purge_step": _step_of(ckpt_path)} if ckpt_path and "TensorBoard" in spec["_target_"] else {}
    try:
        return build({**spec, **offers}, Logger)  # type: ignore[type-abstract]
    except ModuleNotFoundError as error:
        extra = spec["_target_"].rpartition(".")[2].removesuffix("Logger").lower()
        raise Refused(f'logger={extra} needs a package: {error.msg}. Install it by pip install ".[{extra}]"') from None
