"""Pruning: a trial is ended early where its objective is worse than the others', or by its verdict."""

from __future__ import annotations

import math

from lightning import Callback, LightningModule, Trainer
from optuna import Trial

from gradvitals.app.sweep.optuna_study import PRUNED, objective_of, oriented
from gradvitals.callbacks.gradient_vitals import monitor_of
from gradvitals.results.objective import AUTO, Objective


class Pruning(Callback):
    """Reports the objective after each validation, and ends the fit where the trial's pruner says so.

    A verdict ends it by the monitor's own ``auto_stop``; here that is only recorded.

    Args:
        trial: the study's.
        tag, mode: the config's ``objective`` and ``objective_mode``.

    Attributes:
        ended_because: why it was ended; None where it was not.
    """

    def __init__(self, trial: Trial, tag: str = AUTO, mode: str = AUTO) -> None:
        self._trial, self._tag, self._mode = trial, tag, mode
        self.ended_because: str | None = None

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.sanity_checking:
            return
        metrics, study = trainer.callback_metrics, self._trial.study
        objective = objective_of(study, Objective.resolve(metrics, self._tag, self._mode))
        value = float(metrics.get(objective.tag, math.nan)) if objective else math.nan
        if objective is None or not math.isfinite(value):
            return
        self._trial.report(oriented(study, objective, value), trainer.current_epoch)
        if self._trial.should_prune():
            trainer.should_stop = True
            self._end(
                f"pruned after epoch {trainer.current_epoch}: {objective} {value:.4g}, half of the others were better"
            )

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        monitor = monitor_of(trainer)
        if self.ended_because is None and monitor is not None and monitor.stopped_it:
            self._end(f"ended by its verdict: {monitor.diagnosis.verdict}")

    def _end(self, reason: str) -> None:
        self.ended_because = reason
        self._trial.set_user_attr(PRUNED, reason)
