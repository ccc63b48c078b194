"""From a resolved config, plain values, to the objects of a run."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins import LayerSync
from lightning.pytorch.strategies import ModelParallelStrategy, Strategy
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn

from gradvitals.app.atomic_io import AtomicCheckpointIO
from gradvitals.app.checkpoints import check_continues
from gradvitals.app.csv_logger import csv_logger
from gradvitals.app.errors import Refused, closest
from gradvitals.app.files import user_lock
from gradvitals.app.launcher import Launcher, is_first_process
from gradvitals.app.layer_sync import SyncAnywhere
from gradvitals.app.put_off import BESIDE_DATA, put_off
from gradvitals.app.rules import ALIASES
from gradvitals.app.write_errors import WriteErrors
from gradvitals.build import accepts, build, resolve
from gradvitals.callbacks.history import History
from gradvitals.classifier import Classifier
from gradvitals.loops.lean import lean
from gradvitals.loops.resumable import logged_steps
from gradvitals.nets.init import lsuv_, remark
from gradvitals.nets.mlp import MLP
from gradvitals.results.objective import Objective
from gradvitals.vitals.layers import find_layers
from gradvitals.vitals.samples import best_constant

log = logging.getLogger(__name__)
Config = Mapping[str, Any]

# Weights times samples in a batch. Below it a second thread gains at most 15 % of a step, and on a shared machine it
# now and then costs many times that; at 1e8 it gains a third, from 4e8 on nearly half (two cores, width 64 to 2048).
SMALL_STEP = 5e7

# Lightning sets it, and Adam then asks the driver for GPUs at every step: a twentieth of a small net's.
NVML_CHECK = "PYTORCH_NVML_BASED_CUDA_CHECK"

# What the other groups say, and no key of the trainer.
OURS = {"self", "callbacks", "logger", "plugins", "default_root_dir", "barebones", "model_registry"}
OURS |= {"enable_progress_bar", "enable_model_summary", "enable_checkpointing"}

# Keys that have no part in a LightningModule of one's own, which brings its own.
NO_PART = ("act", "init", "optimizer", "scheduler", "loss")


@dataclass
class Run:
    """Everything that takes part in one run."""

    trainer: Trainer
    model: LightningModule
    data: LightningDataModule
    history: History

    @property
    def began(self) -> bool:
        """Whether a training batch was fetched: what fails earlier is a refused config, not a failed run."""
        return self.trainer.fit_loop.epoch_loop.batch_progress.total.ready > 0

    @property
    def checkpoint_io(self) -> AtomicCheckpointIO:
        """What writes checkpoints."""
        return self.trainer.strategy.checkpoint_io  # type: ignore[return-value]

    @property
    def has_test(self) -> bool:
        """Whether the model and the data, which may be the user's own, say how to test."""
        return is_overridden("test_step", self.model) and is_overridden("test_dataloader", self.data)

    @property
    def checkpoint(self) -> ModelCheckpoint | None:
        """The callback that keeps the best weights."""
        kept = [c for c in self.trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        return next((callback for callback in kept if callback.monitor is not None), None)


def assemble(config: Config) -> Run:
    """Build a run; whatever is wrong with the config is raised here, before training.

    Raises:
        ValueError: with a message for the user.
    """
    if config["loss"] == "mean":
        raise Refused("loss=mean: a mean output has no target to learn; it is for python src/preflight.py")
    data = build_data(config["data"])
    model = build_model(config, data)
    begin = 0 if config["resume"] else None
    if config["ckpt_path"]:
        verify = is_first_process() and not config["resume"]  # resume= has verified the checkpoint that it chose
        begin = logged_steps(check_continues(model, Path(config["ckpt_path"]), config["train"], verify))
    devices = config["trainer"]["devices"]
    processes = devices if isinstance(devices, int) else 1
    set_threads(config["threads"], model, config["data"].get("batch_size", 1), processes)
    if config["compile"]:
        (model.net if isinstance(model, Classifier) else model).compile(mode=config["compile"])
    history = History(Objective.resolve((), config["objective"], config["objective_mode"]))  # None: auto
    run = Run(build_trainer(config, history, _chance(model, data), begin), model, data, history)
    _check_monitored(run, config["scheduler"])
    _check_test_share(run)
    _check_sharding(run)
    _check_chosen_layers(model, config["monitor"])
    return run


def build_data(spec: Config) -> LightningDataModule:
    """The data module; one of ours need not wait for what its packages import besides."""
    ours = str(spec.get("_target_")).startswith("gradvitals.")
    with put_off(BESIDE_DATA if ours else ()):
        return build(spec, LightningDataModule)


def _check_monitored(run: Run, scheduler: Config) -> None:
    """Refuse a callback or scheduler that watches a metric which our Classifier does not log."""
    if not isinstance(run.model, Classifier):
        return
    logged = ["train/loss", "val/loss", f"val/{run.model.metric_name}"]
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    watching = [(type(callback).__name__, getattr(callback, "monitor", None)) for callback in callbacks]
    watching += [("scheduler", scheduler.get("monitor"))] if scheduler.get("_target_") else []
    for name, metric in watching:
        if metric is not None and metric not in logged:
            raise Refused(f"{name}.monitor: expected one of {', '.join(logged)}; got {metric!r}")


def _check_test_share(run: Run) -> None:
    """Lightning would refuse a share of the test data that is no whole batch, but only after the training."""
    share = run.trainer.limit_test_batches
    if not isinstance(share, float) or share == 0 or getattr(run.data, "splits", None) is None:
        return
    batches = len(run.data.test_dataloader())
    if share * batches < 1:
        raise Refused(f"trainer.limit_test_batches: expected a share of {batches} batches that makes one; got {share}")


def _check_sharding(run: Run) -> None:
    """Our networks know how they are cut into parts; a LightningModule of one's own has to say it."""
    cuts = isinstance(run.trainer.strategy, ModelParallelStrategy)
    if cuts and not is_overridden("configure_model", run.model):
        raise Refused(
            f"trainer=fsdp: expected {type(run.model).__name__} to have configure_model, which spreads its weights by "
            "gradvitals.nets.sharding.shard(self, self.device_mesh['data_parallel']); it has none. Or set trainer=ddp"
        )


def _check_chosen_layers(model: LightningModule, monitor: Config) -> None:
    """The monitor itself looks for its layers only when the fit begins, and loggers have written files by then."""
    if monitor.get("include") or monitor.get("exclude"):
        include, exclude = monitor.get("include"), monitor.get("exclude") or ()
        find_layers(model, norm_layers=monitor.get("norm_layers", False), include=include, exclude=exclude)


def build_model(config: Config, data: LightningDataModule) -> LightningModule:
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


def build_own_module(spec: Config, typed: list[str]) -> LightningModule | None:
    """The user's own LightningModule; None where the spec names a network, which :class:`Classifier` trains."""
    target = resolve(spec.get("_target_", ""), nn.Module)
    if isinstance(target, type) and issubclass(target, LightningModule):
        return build(_own_keys(spec, typed), LightningModule)
    return None


def _own_keys(spec: Config, typed: list[str]) -> dict[str, Any]:
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
        raise Refused(f"{idle[0]}: has no part in a LightningModule of your own, which brings its own; leave it out")


def describe(data: LightningDataModule) -> dict[str, Any]:
    """What a network must know of the data: ``in_features``, ``num_classes`` and ``task``.

    Ours say so themselves (``splits``); of a module of one's own, attributes of these names are taken, and what is
    missing is read off the first training batch.
    """
    with _in_turn():
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


@contextmanager
def _in_turn() -> Iterator[None]:
    """One process of this machine after the other, where a launcher started several: one downloads what all need."""
    if Launcher.at_work() is None:
        yield
        return
    with user_lock("data"):
        yield


def _some_inputs(data: LightningDataModule, samples: int = 1024) -> Tensor:
    splits = getattr(data, "splits", None)
    return splits.train.x[:samples] if splits is not None else next(iter(data.train_dataloader()))[0]


def set_threads(threads: int | str, model: nn.Module, batch_size: int, processes: int = 1) -> None:
    """Set torch's intra-op threads; ``auto``: one for a small net, else a process's share of the cores."""
    if threads == "auto":
        weights_times_samples = batch_size * sum(p.numel() for p in model.parameters())
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS") or cores))  # a launcher's share
        threads = 1 if weights_times_samples < SMALL_STEP else max(1, cores // processes)
    torch.set_num_threads(int(threads))


def _chance(model: LightningModule, data: LightningDataModule, samples: int = 10_000) -> float | None:
    """The loss of the best constant output on the training targets; None where the loss is not ours to call."""
    splits = getattr(data, "splits", None)
    if splits is None or not isinstance(model, Classifier):
        return None
    return best_constant(model.loss, splits.train.y[:samples], model.outputs)


def build_trainer(config: Config, history: History, chance: float | None = None, begin: int | None = None) -> Trainer:
    """The Trainer with its callbacks and loggers; quiet where the output is no terminal.

    Args:
        config: of the run.
        history: keeps its metrics.
        chance: loss of the best constant output.
        begin: the first step that is logged where the run goes on; None: nothing was logged before.
    """
    arguments = dict(config["trainer"])
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
    return lean(trainer)


def _check_arguments(arguments: Config) -> None:
    takes = [name for name in accepts(Trainer)[0] if name not in OURS]
    if unknown := [name for name in arguments if name not in takes]:
        raise Refused(f"trainer.{unknown[0]}: no such key; expected {closest(unknown[0], takes)}")


def _trainer(**arguments: Any) -> Trainer:
    """Lightning's Trainer; what it misses on this machine (a TPU's package ...) belongs to the group."""
    try:
        return Trainer(**arguments)
    except (ModuleNotFoundError, ValueError, TypeError) as error:
        raise Refused(f"trainer: {error}") from error


def _build_logger(spec: Config, begin: int | None) -> Logger:
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
        raise Refused(f'logger={extra} needs a package: {error.msg}. Install it by pip install ".[{extra}]"') from None
