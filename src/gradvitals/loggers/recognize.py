"""Which kind of logger something is, found out without importing the packages of any kind."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradvitals.errors import ConfigError, shown
from gradvitals.loggers.aim_run import AimRun
from gradvitals.loggers.comet_experiment import CometExperiment
from gradvitals.loggers.csv_file import CsvFile
from gradvitals.loggers.destination import Destination, Function, MetricsLogger
from gradvitals.loggers.mlflow_run import LightningMlflow, MlflowModule
from gradvitals.loggers.tensorboard import EventFile
from gradvitals.loggers.wandb_run import LightningWandb, WandbRun

LIGHTNING = ("lightning", "pytorch_lightning", "lightning_fabric")
ACCEPTED = (
    "a SummaryWriter of torch.utils.tensorboard, a run of W&B or Aim, an experiment of Comet, the module wandb or "
    "mlflow, anything with log_metrics(metrics, step), a path that ends in .csv, a function (step, numbers), or a list "
    "of these"
)
SUMMARY_WRITER = ("SummaryWriter", ("torch",))
KINDS: dict[tuple[str, tuple[str, ...]], Callable[[Any], Destination]] = {  # name, packages -> what writes to it
    SUMMARY_WRITER: EventFile,
    ("WandbLogger", LIGHTNING): LightningWandb,
    ("MLFlowLogger", LIGHTNING): LightningMlflow,
    ("CometLogger", LIGHTNING): lambda logger: CometExperiment(logger.experiment),
    ("AimLogger", ("aim",)): lambda logger: AimRun(logger.experiment),
    ("Run", ("wandb",)): WandbRun,
    ("CometExperiment", ("comet_ml",)): CometExperiment,
    ("Run", ("aim",)): AimRun,
}


def destination_of(logger: Any) -> Destination:
    """Returns what writes to a logger.

    Raises:
        TypeError: it is no logger.
        ConfigError: it is one that cannot be written to now.

    Example:
        >>> destination_of(lambda step, numbers: print(step, numbers)).numbers({"grad_norm/total": 2.0}, 7)
        7 {'grad_norm/total': 2.0}
        >>> destination_of("runs/1")
        Traceback (most recent call last):
        ...
        TypeError: logger: expected a SummaryWriter of torch.utils.tensorboard, a run of W&B or Aim, an experiment of \
Comet, the module wandb or mlflow, anything with log_metrics(metrics, step), a path that ends in .csv, a function \
(step, numbers), or a list of these; got 'runs/1'. A folder for TensorBoard is log_dir
    """
    if isinstance(logger, (str, os.PathLike)):
        if Path(logger).suffix.lower() != ".csv":
            raise _refused(logger, ". A folder for TensorBoard is log_dir")
        return CsvFile(Path(logger))
    if (found := _of_package(logger)) is not None:
        return found
    if callable(getattr(logger, "log_metrics", None)):
        return MetricsLogger(logger)
    if _takes_step_and_numbers(logger):
        return Function(logger)
    raise _refused(logger)


def is_lightnings(logger: Any, name: str) -> bool:
    """Returns whether a logger is Lightning's or Fabric's of this name, or derived from it."""
    return _is_a(logger, name, LIGHTNING)


def _of_package(logger: Any) -> Destination | None:
    """The destination of a logger that is of a known package."""
    if is_lightnings(logger, "TensorBoardLogger") and _is_a(logger.experiment, *SUMMARY_WRITER):  # not tensorboardX's
        return EventFile(logger.experiment)
    if inspect.ismodule(logger) and logger is sys.modules.get("wandb"):
        return _of_wandb(logger)
    if inspect.ismodule(logger) and logger is sys.modules.get("mlflow"):
        return MlflowModule(logger)
    return next((write_to(logger) for kind, write_to in KINDS.items() if _is_a(logger, *kind)), None)


def _of_wandb(module: Any) -> Destination:
    if module.run is None:
        raise ConfigError("logger=wandb: expected a run; wandb.init(...) was not called, or the run has finished")
    return WandbRun(module.run)


def _is_a(thing: Any, name: str, packages: tuple[str, ...]) -> bool:
    """Whether it is an instance of a class of this name from one of these packages."""
    return any(kind.__name__ == name and kind.__module__.split(".")[0] in packages for kind in type(thing).__mro__)


def _takes_step_and_numbers(function: Any) -> bool:
    try:
        with suppress(ValueError):  # a builtin that has no signature
            inspect.signature(function).bind(0, {})
    except TypeError:  # it takes something else, or cannot be called
        return False
    return not isinstance(function, type)


def _refused(logger: Any, hint: str = "") -> TypeError:
    return TypeError(f"logger: expected {ACCEPTED}; got {shown(logger)}{hint}")
