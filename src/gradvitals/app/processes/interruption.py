"""Ends a fit on a signal: between batches, with a checkpoint to resume from."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from gradvitals.app.processes.signals import SAVE, Signals
from gradvitals.callbacks.last_checkpoint import LastCheckpoint
from gradvitals.loops.resumable import LeaveValidation, RestPoint


class Interruption(Callback):
    """Checks for signals between batches, saves, and ends the fit by ``SystemExit`` with their exit code."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signals.listen()  # Lightning has replaced the handlers for the fit
        self._signals.waits = True

    def at_rest(self, trainer: Trainer, moment: RestPoint) -> None:
        code = self._signals.requested if trainer.world_size == 1 else self._agreed(trainer, moment)
        if not code:
            return
        self._signals.saves = False
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, LastCheckpoint):
                callback.save(trainer)
        if code != SAVE:
            self._signals.code = code
            raise SystemExit(code)

    def _agreed(self, trainer: Trainer, moment: RestPoint) -> int:
        """Returns the code that any of several processes was asked for, so that all end after the same step."""
        if moment == "batch" and trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return 0  # asking each time would take too long
        mine = torch.tensor(self._signals.requested, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(mine, reduce_op="max"))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stops all processes where one stops, such as that of a pruned trial."""
        if trainer.world_size > 1:
            trainer.should_stop = trainer.strategy.reduce_boolean_decision(trainer.should_stop, all=False)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self._signals.code and not trainer.sanity_checking and trainer.world_size == 1:
            raise LeaveValidation

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signals.waits = False
