"""From a resolved config, plain values, to the objects of a run."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from gradvitals.app.run.build_data import build_data
from gradvitals.app.run.build_model import build_model
from gradvitals.app.run.build_trainer import build_trainer
from gradvitals.app.run.environment import set_threads
from gradvitals.build import Spec
from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.checkpoints.compare import check_resumable
from gradvitals.classifier import Classifier
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError
from gradvitals.loops.resumable import logged_steps
from gradvitals.results.objective import Objective
from gradvitals.vitals.batch import best_constant
from gradvitals.vitals.layers import find_layers

log = logging.getLogger(__name__)


@dataclass
class Run:
    """Everything that takes part in one run."""

    trainer: Trainer
    model: LightningModule
    data: LightningDataModule
    history: MetricHistory

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


def assemble(config: Spec) -> Run:
    """Build a run; whatever is wrong with the config is raised here, before training.

    Raises:
        ValueError: with a message for the user.
    """
    if config["loss"] == "mean":
        raise ConfigError("loss=mean: a mean output has no target to learn; it is for python src/preflight.py")
    data = build_data(config["data"])
    model = build_model(config, data)
    begin = 0 if config["resume"] else None
    if config["ckpt_path"]:
        verify = is_first_process() and not config["resume"]  # resume= has verified the checkpoint that it chose
        begin = logged_steps(check_resumable(model, Path(config["ckpt_path"]), config["train"], verify))
    devices = config["trainer"]["devices"]
    processes = devices if isinstance(devices, int) else 1
    set_threads(config["threads"], model, config["data"].get("batch_size", 1), processes)
    if config["compile"]:
        (model.net if isinstance(model, Classifier) else model).compile(mode=config["compile"])
    history = MetricHistory(Objective.resolve((), config["objective"], config["objective_mode"]))  # None: auto
    run = Run(build_trainer(config, history, _chance(model, data), begin), model, data, history)
    _check_monitored(run, config["scheduler"])
    _check_test_share(run)
    _check_sharding(run)
    _check_chosen_layers(model, config["monitor"])
    return run


def _check_monitored(run: Run, scheduler: Spec) -> None:
    """Refuse a callback or scheduler that watches a metric which our Classifier does not log."""
    if not isinstance(run.model, Classifier):
        return
    logged = ["train/loss", "val/loss", f"val/{run.model.metric_name}"]
    callbacks = run.trainer.callbacks  # type: ignore[attr-defined]
    watching = [(type(callback).__name__, getattr(callback, "monitor", None)) for callback in callbacks]
    watching += [("scheduler", scheduler.get("monitor"))] if scheduler.get("_target_") else []
    for name, metric in watching:
        if metric is not None and metric not in logged:
            raise ConfigError(f"{name}.monitor: expected one of {', '.join(logged)}; got {metric!r}")


def _check_test_share(run: Run) -> None:
    """Lightning would refuse a share of the test data that is no whole batch, but only after the training."""
    share = run.trainer.limit_test_batches
    if not isinstance(share, float) or share == 0 or getattr(run.data, "splits", None) is None:
        return
    batches = len(run.data.test_dataloader())
    if share * batches < 1:
        raise ConfigError(
            f"trainer.limit_test_batches: expected a share of {batches} batches that makes one; got {share}"
        )


def _check_sharding(run: Run) -> None:
    """Our networks know how they are cut into parts; a LightningModule of one's own has to say it."""
    cuts = isinstance(run.trainer.strategy, ModelParallelStrategy)
    if cuts and not is_overridden("configure_model", run.model):
        raise ConfigError(
            f"trainer=fsdp: expected {type(run.model).__name__} to have configure_model, which spreads its weights by "
            "gradvitals.distributed.sharding.shard(self, self.device_mesh['data_parallel']); it has none. "
            "Or set trainer=ddp"
        )


def _check_chosen_layers(model: LightningModule, monitor: Spec) -> None:
    """The monitor itself looks for its layers only when the fit begins, and loggers have written files by then."""
    if monitor.get("include") or monitor.get("exclude"):
        include, exclude = monitor.get("include"), monitor.get("exclude") or ()
        find_layers(model, norm_layers=monitor.get("norm_layers", False), include=include, exclude=exclude)


def _chance(model: LightningModule, data: LightningDataModule, samples: int = 10_000) -> float | None:
    """The loss of the best constant output on the training targets; None where the loss is not ours to call."""
    splits = getattr(data, "splits", None)
    if splits is None or not isinstance(model, Classifier):
        return None
    return best_constant(model.loss, splits.train.y[:samples], model.outputs)
