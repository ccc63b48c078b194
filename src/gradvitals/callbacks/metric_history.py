"""The metrics of a run, and how long its training loop took."""

from __future__ import annotations

import math
import time
from typing import Any

from lightning import Callback, LightningModule, Trainer

from gradvitals.distributed.collectives import Collectives
from gradvitals.loops.resumable import RestPoint
from gradvitals.results.objective import Objective


class MetricHistory(Callback):
    """Keeps final and best value of every logged metric, and times the training loop without validation.

    Which value is best follows from the metric's name; values that are not finite are final but never best.

    Args:
        objective: a metric whose mode does not follow from its name; None: there is none.

    Attributes:
        metrics: tag -> ``{"final": ..., "best": ...}``; None where no value was finite.
        seconds: of the whole fit, including the time before a resume.
        earlier_seconds: of that, before the resume.
        loop_seconds: of the training loop alone, without validation.
        samples: trained on in that time, by all processes.
    """

    def __init__(self, objective: Objective | None = None) -> None:
        self._objectives = {objective.tag: objective} if objective else {}  # of each metric, looked up once
        self.metrics: dict[str, dict[str, float | None]] = {}
        self.seconds = self.loop_seconds = self.earlier_seconds = 0.0
        self.samples = 0
        self._fit_began = self._loop_began = 0.0
        self._fitting = True

    def record(self, metrics: dict[str, Any]) -> None:
        for tag, value in metrics.items():
            number = float(value)
            entry = self.metrics.setdefault(tag, {"final": None, "best": None})
            entry["final"] = number if math.isfinite(number) else None
            if entry["final"] is not None:
                known = [v for v in (entry["best"], number) if v is not None]
                if tag not in self._objectives:
                    self._objectives[tag] = Objective.named(tag)
                entry["best"] = self._objectives[tag].best(known)

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._fitting = stage == "fit"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._fit_began = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loop_began = time.perf_counter()

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if not self._loop_began:  # after a validation inside the epoch
            self._loop_began = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self.record(trainer.callback_metrics)

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self.record(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._pause()
        self.samples += _samples_of_an_epoch(trainer)

    def at_rest(self, trainer: Trainer, moment: RestPoint) -> None:
        """Records what was logged by the end of an epoch, before a checkpoint is taken."""
        if moment == "epoch":
            self.record(trainer.callback_metrics)

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.record(trainer.callback_metrics)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = self.earlier_seconds + time.perf_counter() - self._fit_began

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._fitting:
            self.on_fit_end(trainer, pl_module)

    def state_dict(self) -> dict[str, Any]:
        seconds = self.earlier_seconds + time.perf_counter() - self._fit_began
        timed = {"seconds": seconds, "loop_seconds": self.loop_seconds, "samples": self.samples}
        return {"metrics": self.metrics, **timed}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._fitting:  # testing the best checkpoint must not bring back its epoch's numbers
            self.metrics, self.earlier_seconds = state["metrics"], state["seconds"]
            self.loop_seconds, self.samples = state["loop_seconds"], state["samples"]

    def _pause(self) -> None:
        if self._loop_began:
            self.loop_seconds += time.perf_counter() - self._loop_began
        self._loop_began = 0.0


def _samples_of_an_epoch(trainer: Trainer) -> int:
    """Batches of the epoch that just ended times their size in all processes; the last one may be smaller."""
    loader: Any = trainer.train_dataloader
    size = (getattr(loader, "batch_size", None) or 1) * Collectives.of(trainer).number
    batches = trainer.fit_loop.epoch_loop.batch_progress.current.completed
    dataset: Any = getattr(loader, "dataset", None)
    whole = len(dataset) if hasattr(dataset, "__len__") else batches * size
    overfit = trainer.overfit_batches  # type: ignore[attr-defined]
    return batches * size if overfit else min(batches * size, whole)
