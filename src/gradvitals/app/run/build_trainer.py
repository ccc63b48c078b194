"""Builds the Trainer of a config."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

import torch
from lightning import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import Strategy

from gradvitals.app.config.schema import ALIASES
from gradvitals.build import Spec, accepts, build, resolve
from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.distributed.sync_batch_norm import SyncAnywhere
from gradvitals.errors import ConfigError, closest
from gradvitals.loggers.csv_logger import csv_logger
from gradvitals.loggers.write_errors import WriteErrors
from gradvitals.loops.lean import lean
from gradvitals.loops.resumable import resumable

# What the other groups say, and no key of the trainer.
OURS = {"self", "callbacks", "logger", "plugins", "default_root_dir", "barebones", "model_registry"}
OURS |= {"enable_progress_bar", "enable_model_summary", "enable_checkpointing"}

# Lightning sets it, and Adam then asks the driver for GPUs at every step: a twentieth of a small net's.
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


def build_trainer(
    config: Spec, history: MetricHistory, chance: float | None = None, begin: int | None = None
) -> Trainer:
    """The Trainer with its callbacks and loggers; quiet where the output is no terminal.

    Args:
        config: of the run.
        history: keeps its metrics.
        chance: loss of the best constant output.
        begin: the first step that is logged where the run goes on; None: nothing was logged before.
    """
    arguments = dict(config["trainer"])
    is_lean = arguments.pop("lean", True)
    _check_arguments(arguments)
    if arguments["deterministic"] is False and not torch.are_deterministic_algorithms_enabled():
        arguments["deterministic"] = None  # turning off what is off imports torch's compiler
    if isinstance(arguments.get("strategy"), Mapping):
        arguments["strategy"] = build(arguments["strategy"], Strategy)  # type: ignore[type-abstract]
    arguments["precision"] = ALIASES.get(arguments["precision"], arguments["precision"])
    synced: list[LayerSync] = [SyncAnywhere()] if arguments.pop("sync_batchnorm", False) else []
    clip = config["clip"]
    if clip["name"] in ("norm", "value"):
        arguments |= {"gradient_clip_val": clip["val"], "gradient_clip_algorithm": clip["name"]}
    specs = [config["monitor"], *config["callbacks"].values()]
    in_sweep, words = config.get("in_sweep", False), " ".join(config.get("overrides", []))
    offers = {"subtitle": words, "chance": chance, "enabled": not in_sweep}
    callbacks = [build(spec, Callback, offers) for spec in specs if spec and spec.get("_target_")]
    errors = WriteErrors(config["on_write_error"])
    loggers = [_build_logger(spec, begin) for spec in config["logger"].values() if spec]
    # Lightning refuses to watch the rate without a logger; a bar is for eyes, and a sweep has one of its own.
    seen = sys.stdout.isatty() and not in_sweep
    unfit = (() if loggers else (LearningRateMonitor,)) + (() if seen else (ProgressBar, ModelSummary))
    callbacks = [callback for callback in callbacks if not isinstance(callback, unfit)]
    trainer = _trainer(
        **arguments,
        callbacks=[history, *callbacks],  # first, so that it times none of the others' last words
        logger=loggers or False,
        plugins=[AtomicCheckpointIO(errors), *synced],
        default_root_dir=config["paths"]["run"],
        enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
        enable_model_summary=any(isinstance(c, ModelSummary) for c in callbacks),
        enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
    )
    if trainer.strategy.root_device.type == "cpu":
        os.environ.pop(NVML_CHECK, None)
    return lean(trainer) if is_lean else resumable(trainer)


def _check_arguments(arguments: Spec) -> None:
    takes = [name for name in accepts(Trainer)[0] if name not in OURS]
    if unknown := [name for name in arguments if name not in takes]:
        raise ConfigError(f"trainer.{unknown[0]}: no such key; expected {closest(unknown[0], takes)}")


def _trainer(**arguments: Any) -> Trainer:
    """Lightning's Trainer; what it misses on this machine (a TPU's package ...) belongs to the group."""
    try:
        return Trainer(**arguments)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        raise ConfigError(f"trainer: {error}") from error


def _build_logger(spec: Spec, begin: int | None) -> Logger:
    """A logger; those that write into the run's directory drop what an earlier part logged from ``begin`` on."""
    kind = resolve(spec.get("_target_", ""), Logger)  # type: ignore[type-abstract]
    if begin is not None and kind is TensorBoardLogger:
        spec = {**spec, "purge_step": begin}
    if kind is CSVLogger:
        return csv_logger(spec, begin)
    try:
        return build(spec, Logger)  # type: ignore[type-abstract]
    except ModuleNotFoundError as error:
        extra = spec["_target_"].rpartition(".")[2].removesuffix("Logger").lower()
        raise ConfigError(
            f'logger={extra} needs a package: {error.msg}. Install it by pip install ".[{extra}]"'
        ) from None
