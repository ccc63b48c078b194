"""Builds the objects of a run from its config."""

from __future__ import annotations

from dataclasses import dataclass

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities.model_helpers import is_overridden

from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.build_data import build_data
from gradvitals.app.run.build_model import build_model
from gradvitals.app.run.build_trainer import build_trainer
from gradvitals.app.run.check_built import OF_A_MODULE, check_built
from gradvitals.app.run.given_preparation import give_preparation
from gradvitals.app.run.starting_point import load_start
from gradvitals.app.run.threads import set_threads
from gradvitals.callbacks.gradient_vitals import GradientVitals, monitor_of
from gradvitals.callbacks.metric_history import MetricHistory
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from gradvitals.formatting import command
from gradvitals.results.objective import Objective
from gradvitals.vitals.batch import best_constant

SAMPLES = 10_000  # of the training targets, from which the loss of the best constant output is computed


@dataclass(frozen=True)
class Run:
    """The objects of one run."""

    model: LightningModule
    data: LightningDataModule
    trainer: Trainer
    history: MetricHistory
    monitor: GradientVitals | None
    chance: float | None  # the loss of the best constant output, or without memory if that is lower; None: not known
    baseline: float | None = None  # the loss of the best prediction without memory; None: not known

    @property
    def began(self) -> bool:
        """Whether a training batch was fetched: what fails earlier is a refused config, not a failed run."""
        return self.trainer.fit_loop.epoch_loop.batch_progress.total.ready > 0

    @property
    def decided(self) -> tuple[str, ...]:
        """The groups that a class of the user decides itself, so that no remedy changes them."""
        if not isinstance(self.model, Classifier):
            return ("model", *OF_A_MODULE)
        return () if self.model.hparams["model"]["_target_"].startswith("gradvitals.") else ("model",)

    @property
    def checkpoint_io(self) -> AtomicCheckpointIO:
        return self.trainer.strategy.checkpoint_io  # type: ignore[return-value]

    @property
    def has_test(self) -> bool:
        return is_overridden("test_step", self.model) and is_overridden("test_dataloader", self.data)

    @property
    def checkpoint(self) -> ModelCheckpoint | None:
        kept = [c for c in self.trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        return next((callback for callback in kept if callback.monitor is not None), None)


def assemble(config: RunConfig) -> Run:
    """Returns the objects of a run; whatever is wrong with its config is refused here, before training.

    Raises:
        ConfigError, ValueError, FileNotFoundError: with a message for the user.
    """
    if config["loss"] == "mean":
        raise ConfigError(f"loss=mean: a mean output has no target to learn; it is for {command('preflight')}")
    data = build_data(config["data"])
    give_preparation(config, data)
    model = build_model(config, data)
    first_step = load_start(config, model)
    set_threads(config, model)
    if config["compile"]:
        (model.net if isinstance(model, Classifier) else model).compile(mode=config["compile"])
    history = MetricHistory(Objective.resolve((), config["objective"], config["objective_mode"]))  # None: auto
    chance = baseline = None
    if isinstance(model, Classifier) and (splits := getattr(data, "splits", None)) is not None:
        chance = best_constant(model.loss, splits.train.y.flatten()[:SAMPLES], model.outputs)
        baseline = getattr(splits, "baseline", None) if model.has_usual_loss else None
        chance = chance if baseline is None else min(chance, baseline)
    trainer = build_trainer(config, history, chance, first_step)
    check_built(config, model, data, trainer)
    monitor = monitor_of(trainer)
    if monitor is not None:
        monitor.announces = False  # the closing lines of a run say it
    return Run(model, data, trainer, history, monitor, chance, baseline)
