"""Ends a fit on a signal: at rest, with a checkpoint to go on from."""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer

from gradvitals.app.processes.signals import SAVE, Signals
from gradvitals.callbacks.last_checkpoint import LastCheckpoint
from gradvitals.loops.resumable import LeaveValidation, RestPoint


class Interruption(Callback):
    """Looks at the signals between batches, saves, and leaves by ``SystemExit`` with their code.

    Args:
        signals: that are listened to.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signals.listen()  # Lightning has taken them over for the fit
        self._signals.waits = True

    def at_rest(self, trainer: Trainer, moment: RestPoint) -> None:
        """Save and leave, if a signal asks for it."""
        code = self._signals.wish if trainer.world_size == 1 else self._agreed(trainer, moment)
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
        """The code that any of several processes was asked for: all leave after the same step; asked now and then."""
        if moment == "batch" and trainer.global_step % trainer.log_every_n_steps:  # type: ignore[attr-defined]
            return 0
        mine = torch.tensor(self._signals.wish, device=trainer.strategy.root_device)
        return int(trainer.strategy.reduce(mine, reduce_op="max"))

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """What ends the fit of one process, such as a trial that its search gives up, ends that of all."""
        if trainer.world_size > 1:
            trainer.should_stop = trainer.strategy.reduce_boolean_decision(trainer.should_stop, all=False)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self._signals.code and not trainer.sanity_checking and trainer.world_size == 1:
            raise LeaveValidation

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signals.waits = False
