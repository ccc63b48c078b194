"""Builds the Trainer of a config."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any
from unittest.mock import patch

import torch
from lightning import Callback, Trainer
from lightning.fabric.utilities import registry
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import Strategy

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.schema import ALIASES
from gradvitals.build import TRUSTED, Spec, accepts, build
from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.distributed.sync_batch_norm import SyncAnywhere
from gradvitals.errors import ConfigError, closest
from gradvitals.loggers.csv_logger import write_whole
from gradvitals.loggers.write_errors import WriteErrors
from gradvitals.loops.lean import lean
from gradvitals.loops.resumable import resumable

# Arguments that other groups decide, and no key of the trainer.
OURS = {"self", "callbacks", "logger", "plugins", "default_root_dir", "barebones", "model_registry"}
OURS |= {"enable_progress_bar", "enable_model_summary", "enable_checkpointing"}

LOGGER_EXTRAS = {"comet", "mlflow", "wandb"}  # of pyproject.toml

# Lightning sets it, and Adam then asks the driver for GPUs at every step, which is a twentieth of a small net's step.
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"


# For every Trainer, Lightning reads from the files of all packages which callbacks they offer, for 9 ms.
@patch.object(registry, "entry_points", cache(entry_points))
def build_trainer(
    config: RunConfig, history: MetricHistory, chance: float | None = None, first_step: int | None = None
) -> Trainer:
    """Returns the Trainer with its callbacks and loggers; without bars where the output is no terminal.

    Args:
        chance: the loss of the best constant output, for the monitor.
        first_step: the first step that is logged, where an earlier part of the run logged some; None: none was.

    Raises:
        ConfigError, ValueError: a key or value that the Trainer, a callback or a logger refuses.
    """
    trainer_values = dict(config["trainer"])
    is_lean = trainer_values.pop("lean", True)
    arguments = _arguments(trainer_values, config["clip"])
    synced: list[LayerSync] = [SyncAnywhere()] if arguments.pop("sync_batchnorm", False) else []
    logger_specs = [_resumed(spec, first_step) for spec in config["logger"].values() if spec]
    callback_specs = [config["monitor"], *config["callbacks"].values()]
    offers = {"subtitle": str(config.overrides), "chance": chance, "enabled": not config.in_sweep}
    if isinstance(arguments.get("strategy"), Mapping):
        arguments["strategy"] = build(arguments["strategy"], Strategy)  # type: ignore[type-abstract]
    callbacks = [build(spec, Callback, offers) for spec in callback_specs if spec and spec.get("_target_")]
    loggers = _build_loggers(logger_specs)
    for logger in loggers:
        if isinstance(logger, CSVLogger):
            write_whole(logger, first_step)
    # Lightning refuses to watch the rate without a logger, and bars are for a terminal, where a sweep has its own.
    seen = sys.stdout.isatty() and not config.in_sweep
    unfit = (() if loggers else (LearningRateMonitor,)) + (() if seen else (ProgressBar, ModelSummary))
    callbacks = [callback for callback in callbacks if not isinstance(callback, unfit)]
    try:
        trainer = Trainer(
            **arguments,
            callbacks=[history, *callbacks],  # first, so that it does not time what the others do at the end
            logger=loggers or False,
            plugins=[AtomicCheckpointIO(WriteErrors(config["on_write_error"])), *synced],
            default_root_dir=config["paths"]["run"],
            enable_progress_bar=any(isinstance(c, ProgressBar) for c in callbacks),
            enable_model_summary=any(isinstance(c, ModelSummary) for c in callbacks),
            enable_checkpointing=any(isinstance(c, ModelCheckpoint) for c in callbacks),
        )
    except (ModuleNotFoundError, ValueError, TypeError) as error:  # such as a package for TPUs, which is not installed
        raise ConfigError(f"trainer: {error}") from error
    if trainer.strategy.root_device.type == "cpu":
        os.environ.pop(NVML_CHECK, None)
    return lean(trainer) if is_lean else resumable(trainer)


def _arguments(trainer: Spec, clip: Spec) -> dict[str, Any]:
    takes = [name for name in accepts(Trainer)[0] if name not in OURS]
    if unknown := [name for name in trainer if name not in takes]:
        raise ConfigError(f"trainer.{unknown[0]}: no such key; expected {closest(unknown[0], takes)}")
    arguments = dict(trainer)
    if arguments["deterministic"] is False and not torch.are_deterministic_algorithms_enabled():
        arguments["deterministic"] = None  # turning off what is off imports torch's compiler
    arguments["precision"] = ALIASES.get(arguments["precision"], arguments["precision"])
    if clip["name"] in ("norm", "value"):
        arguments |= {"gradient_clip_val": clip["val"], "gradient_clip_algorithm": clip["name"]}
    return arguments


def _resumed(spec: Spec, first_step: int | None) -> Spec:
    """TensorBoard drops what an earlier part of the run logged from ``first_step`` on."""
    is_tensorboard = str(spec.get("_target_")).endswith(".TensorBoardLogger")
    return {**spec, "purge_step": first_step} if is_tensorboard and first_step is not None else spec


def _build_loggers(specs: Sequence[Spec]) -> list[Logger]:
    loggers = []
    for spec in specs:
        option = spec["_target_"].rpartition(".")[2].removesuffix("Logger").lower()
        if spec["_target_"].startswith("aim.") and find_spec("aim") is None:
            raise ConfigError(f"logger={option} needs a package: aim. Install it by pip install aim")
        try:
            loggers.append(build(spec, Logger, trusted=TRUSTED | {"aim"}))  # type: ignore[type-abstract]
        except ModuleNotFoundError as error:
            install = f'. Install it by pip install "gradvitals[{option}]"' if option in LOGGER_EXTRAS else ""
            raise ConfigError(f"logger={option} needs a package: {error.msg}{install}") from None
    return loggers
