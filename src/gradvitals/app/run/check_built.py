"""Refuses what only the built objects of a run show, before training."""

from __future__ import annotations

from lightning import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.strategies import ModelParallelStrategy
from lightning.pytorch.utilities.model_helpers import is_overridden

from gradvitals.app.config.run_config import RunConfig
from gradvitals.build import Spec
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError, closest
from gradvitals.metrics import METRICS
from gradvitals.results.objective import AUTO
from gradvitals.vitals.layers import find_layers

OF_A_MODULE = ("act", "init", "optimizer", "scheduler", "loss", "metrics")  # keys that a LightningModule decides itself

KNOWN_CALLBACKS = ("gradvitals.", "lightning.")  # modules of the callbacks that log no metric of their own


def check_built(config: RunConfig, model: LightningModule, data: LightningDataModule, trainer: Trainer) -> None:
    """Refuses objects that do not fit each other.

    Raises:
        ConfigError, ValueError: it names the key, what was expected and what came.
    """
    if isinstance(model, Classifier):
        _check_monitored(model, trainer, config["scheduler"])
        _check_objective(model, trainer, config["objective"])
    else:
        _check_ignored(config)
    _check_test_share(data, trainer.limit_test_batches)
    _check_sharding(model, trainer)
    monitor = config["monitor"]
    include, exclude = monitor.get("include"), monitor.get("exclude") or ()
    if include or exclude:  # else refused when the fit begins, and loggers have written files by then
        find_layers(model, norm_layers=monitor.get("norm_layers", False), include=include, exclude=exclude)


def _check_ignored(config: RunConfig) -> None:
    clip = config["clip"]["name"]
    ignored = [key for key in config.overrides.typed_keys if key.partition(".")[0] in OF_A_MODULE]
    ours = str(config["data"].get("_target_")).startswith("gradvitals.")  # another class may mean something else by it
    ignored += [key for key in ("data.class_weight",) if ours and key in config.overrides.typed_keys]
    ignored += [f"clip={clip}"] if clip not in ("none", "norm", "value") else []
    if ignored:
        raise ConfigError(
            f"{ignored[0]}: has no part in a LightningModule of your own, which brings its own; leave it out"
        )


def _check_monitored(model: Classifier, trainer: Trainer, scheduler: Spec) -> None:
    logged = _logged(model, "val")
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    watched = [(type(callback).__name__, getattr(callback, "monitor", None)) for callback in callbacks]
    watched += [("scheduler", scheduler.get("monitor"))] if scheduler.get("_target_") else []
    for name, metric in watched:
        if metric is not None and metric not in logged:
            raise ConfigError(
                f"{name}.monitor: expected one of {', '.join(logged)}; got {metric!r}{_way_to_log(model, metric)}"
            )


def _check_objective(model: Classifier, trainer: Trainer, tag: str) -> None:
    """A callback of the user may log the objective; a run in which nothing has logged it warns at its end."""
    logged = [*(["train/acc"] if "acc" in model.metric_names else []), *_logged(model, "val")]
    own = [c for c in trainer.callbacks if not type(c).__module__.startswith(KNOWN_CALLBACKS)]  # type: ignore[attr-defined]
    if tag in (AUTO, *logged, *_logged(model, "test")) or own:
        return
    way = _way_to_log(model, tag) or f". For example: objective={closest(tag, logged).partition(',')[0]}"
    raise ConfigError(f"objective: expected {AUTO} or one of {', '.join(logged)}; got {tag!r}{way}")


def _logged(model: Classifier, stage: str) -> list[str]:
    return ["train/loss", f"{stage}/loss", *(f"{stage}/{name}" for name in model.metric_names)]


def _way_to_log(model: Classifier, tag: str) -> str:
    """What to type so that a metric is logged; empty where the task has no such metric."""
    name = tag.rpartition("/")[2]
    if tag not in (f"val/{name}", f"test/{name}") or name not in METRICS[model.hparams["task"]]:
        return ""
    return f". To log it, add metrics=[{','.join([*model.metric_names, name])}]"


def _check_test_share(data: LightningDataModule, share: int | float) -> None:
    """Lightning refuses a share of the test data without a whole batch too, but only after the training."""
    if not isinstance(share, float) or share == 0 or getattr(data, "splits", None) is None:
        return
    batches = len(data.test_dataloader())
    if share * batches < 1:
        raise ConfigError(
            f"trainer.limit_test_batches: expected a share of {batches} batches that makes one; got {share}"
        )


def _check_sharding(model: LightningModule, trainer: Trainer) -> None:
    if isinstance(trainer.strategy, ModelParallelStrategy) and not is_overridden("configure_model", model):
        raise ConfigError(
            f"trainer=fsdp: expected {type(model).__name__} to have configure_model, which shards its weights by "
            "gradvitals.distributed.sharding.shard(self, self.device_mesh['data_parallel']); it has none. "
            "Or set trainer=ddp"
        )
