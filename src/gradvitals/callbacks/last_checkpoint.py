"""Checkpoints to resume from."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from lightning import Callback, Trainer

from gradvitals.checkpoints.rotation import NEW, names, rotate
from gradvitals.loops.resumable import RestPoint


class LastCheckpoint(Callback):
    """Saves the whole state of a fit between batches, and keeps the latest few: ``last.ckpt``, ``last-1.ckpt``, ...

    The older ones are for the case that the newest is damaged. Where the Trainer was made by
    :func:`gradvitals.loops.lean.lean`, a fit resumes from such a checkpoint bit for bit; any other Trainer never calls
    this callback.

    Args:
        dirpath: where they go; None: ``checkpoints`` in the Trainer's ``default_root_dir``.
        keep: how many.
        every_n_epochs: at the end of each so many epochs, and at the end of the fit; None: only at the end of the fit.
        min_seconds: the end of an epoch is passed over where the one before was saved less than so many seconds ago;
            the first one of a fit never is. A kill loses at most these seconds and the epoch that follows them; where
            these are trained again, a ``ModelCheckpoint`` of your own with a version counter writes its files anew.
        every_n_steps: also after each so many optimizer steps; None: never.
        every_n_minutes: also when so many minutes have gone by since the one before; None: never.

    Raises:
        ValueError: a setting out of range.

    Example:
        >>> LastCheckpoint("run/checkpoints", keep=3, every_n_steps=500).names
        ['last.ckpt', 'last-1.ckpt', 'last-2.ckpt']
    """

    def __init__(
        self,
        dirpath: str | Path | None = None,
        keep: int = 2,
        every_n_epochs: int | None = 1,
        min_seconds: float | None = 5,
        every_n_steps: int | None = None,
        every_n_minutes: float | None = 10,
    ) -> None:
        for name, value in {
            "keep": keep,
            "every_n_epochs": every_n_epochs,
            "min_seconds": min_seconds,
            "every_n_steps": every_n_steps,
            "every_n_minutes": every_n_minutes,
        }.items():
            if value is not None and value <= 0:
                raise ValueError(f"callbacks.last.{name}: expected a number above 0, or null; got {value}")
        self.dirpath = dirpath
        self.every_n_epochs, self.min_seconds = every_n_epochs, min_seconds
        self.every_n_steps, self.every_n_minutes = every_n_steps, every_n_minutes
        self.names = names(keep)
        self._saved_at = (-1, -1)  # epochs and steps at the latest
        self._has_saved = False  # in this fit
        self._time = time.monotonic()
        self._is_alone = True

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        self._saved_at, self._time = (trainer.current_epoch, trainer.global_step), time.monotonic()
        self._is_alone, self._has_saved = trainer.world_size == 1, False

    def at_rest(self, trainer: Trainer, moment: RestPoint) -> None:
        """Saves, if it is time."""
        epochs, steps = self.every_n_epochs, self.every_n_steps
        if (
            moment == "end"
            or (moment == "epoch" and epochs and trainer.current_epoch % epochs == 0 and not self._is_soon(trainer))
            or (steps and trainer.global_step // steps > self._saved_at[1] // steps)
            or self._is_time(trainer)
        ):
            self.save(trainer)

    def _is_soon(self, trainer: Trainer) -> bool:
        """Whether the seconds have not passed yet, by the first process's clock."""
        soon = self._has_saved and time.monotonic() - self._time < (self.min_seconds or 0)
        return soon if self._is_alone else trainer.strategy.broadcast(soon)

    def _is_time(self, trainer: Trainer) -> bool:
        """Whether the minutes have passed, by the first process's clock, which the others ask now and then."""
        if self.every_n_minutes is None:
            return False
        over = time.monotonic() - self._time >= 60 * self.every_n_minutes
        if self._is_alone:
            return over
        asked = trainer.global_step % trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        return asked and trainer.strategy.broadcast(over)

    def save(self, trainer: Trainer) -> None:
        now = (trainer.current_epoch, trainer.global_step)
        if now == self._saved_at or trainer.fast_dev_run:  # type: ignore[attr-defined]
            return
        for logger in trainer.loggers:
            logger.save()  # what was logged so far is not logged again after a resume
        trainer.save_checkpoint(self._new(trainer), weights_only=False)
        self._saved_at, self._time, self._has_saved = now, time.monotonic(), True
        self._rotate(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Puts the newest checkpoint in place where a kill came before that, and this fit had no step left to train."""
        self._rotate(trainer)

    def _rotate(self, trainer: Trainer) -> None:
        if trainer.is_global_zero and self._new(trainer).exists():
            rotate(self._new(trainer), self.names)

    def _new(self, trainer: Trainer) -> Path:
        return Path(self.dirpath or Path(trainer.default_root_dir) / "checkpoints") / NEW
