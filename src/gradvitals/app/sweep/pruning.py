"""Ending a trial that leads nowhere: by its accuracy beside the others', or by its verdict."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lightning import Callback, LightningModule, Trainer

from gradvitals.app.sweep.study import PRUNED
from gradvitals.callbacks.gradient_vitals import monitor_of
from gradvitals.report.sweep import objective_tag

if TYPE_CHECKING:
    from optuna import Trial


class Pruning(Callback):
    """Reports the objective after each validation, and ends the fit where the trial's pruner says so.

    A verdict ends it by the monitor's own ``auto_stop``; here it is only written down.

    Args:
        trial: of a study.
        objective: metric, or ``auto``.

    Attributes:
        reason: why it was ended; None where it was not.
    """

    def __init__(self, trial: Trial, objective: str) -> None:
        self._trial, self._objective = trial, objective
        self.reason: str | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        tag = objective_tag(trainer.callback_metrics, self._objective)
        if trainer.sanity_checking or tag not in trainer.callback_metrics:
            return
        value = float(trainer.callback_metrics[tag])
        if not math.isfinite(value):
            return
        self._trial.report(value, trainer.current_epoch)
        if self._trial.should_prune():
            trainer.should_stop = True
            self._end(f"pruned after epoch {trainer.current_epoch}: {tag} {value:.4g}, half of the others were better")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        monitor = monitor_of(trainer)
        if self.reason is None and monitor is not None and monitor.stopped_it:
            self._end(f"ended by its verdict: {monitor.diagnosis.verdict}")

    def _end(self, reason: str) -> None:
        self.reason = reason
        self._trial.set_user_attr(PRUNED, reason)
