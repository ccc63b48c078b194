"""Ends a fit on a signal: at rest, with a checkpoint to go on from."""

from __future__ import annotations

from typing import Any

from lightning import Callback, LightningModule, Trainer

from gradvitals.app.signals import Signals
from gradvitals.callbacks.last_checkpoint import LastCheckpoint
from gradvitals.loops.resumable import LeaveValidation, Moment


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

    def at_rest(self, trainer: Trainer, moment: Moment) -> None:
        """Save and leave, if a signal asks for it."""
        if not self._signals.code:
            return
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, LastCheckpoint):
                callback.save(trainer)
        raise SystemExit(self._signals.code)

    def on_validation_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if self._signals.code and not trainer.sanity_checking:
            raise LeaveValidation

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._signals.waits = False
