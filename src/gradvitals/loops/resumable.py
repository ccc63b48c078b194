"""Resumes a fit from a checkpoint as if it had never ended.

Lightning restores weights, optimizers, schedulers and counters; but neither the random state nor the position in the
training data within an epoch. And of what follows a batch (validation, schedulers that watch a metric, logging) it
repeats some and omits some, depending on the hook in which a checkpoint was taken. So here checkpoints are taken *at
rest*: between two batches or two epochs, when nothing of the one before is still to come. At such points the loops
call the method ``at_rest(trainer, moment)`` of every callback that has one, and ``trainer.save_checkpoint`` there takes
a checkpoint from which the fit resumes bit for bit. Checkpoints that were taken elsewhere are resumed in Lightning's
own way.

Two things cannot be restored: the random states of workers that outlive an epoch, and the draws of an iterable data set
without a length, of which Lightning fetches one batch ahead. Means over an epoch that a user's module logs while it
trains cover the batches since the checkpoint.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from torch.utils.data import DataLoader

from gradvitals.loops.random_state import random_state, set_random_state

RestPoint = Literal["batch", "validation", "epoch", "end"]  # what has just ended; validation was left before its end


class LeaveValidation(Exception):
    """Raised in a hook of validation to leave it; a fit that resumes from there begins by repeating the validation."""


def logged_steps(checkpoint: dict[str, Any]) -> int:
    """Returns the first step that a fit logs when it resumes from a checkpoint; later steps are logged once more."""
    rest = _at_rest(checkpoint)
    return checkpoint["global_step"] if rest is None else rest["logged_steps"]


def seed_of(checkpoint: dict[str, Any]) -> int | None:
    """Returns torch's seed in the fit that took a checkpoint; None where the checkpoint was not taken at rest."""
    rest = _at_rest(checkpoint)
    if rest is None:
        return None
    generator = torch.Generator()
    generator.set_state(rest["random"]["torch"])
    return generator.initial_seed()


def _at_rest(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    return checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.state_dict", {}).get("at_rest")


def resumable(trainer: Trainer, epoch_loop: type[ResumableEpochLoop] | None = None) -> Trainer:
    """Replaces the loops of a Trainer that has not fitted yet by ones that resume bit for bit.

    Args:
        trainer: is changed and returned.
        epoch_loop: the loop over batches; None: :class:`ResumableEpochLoop`.

    Example:
        >>> trainer = resumable(Trainer(max_epochs=1, accelerator="cpu", logger=False, barebones=True))
        >>> type(trainer.fit_loop.epoch_loop).__name__
        'ResumableEpochLoop'
    """
    epochs, batches = trainer.fit_loop, trainer.fit_loop.epoch_loop
    trainer.fit_loop = ResumableFitLoop(trainer, epochs.min_epochs, epochs.max_epochs)
    trainer.fit_loop.epoch_loop = (epoch_loop or ResumableEpochLoop)(trainer, batches.min_steps, batches.max_steps)
    return trainer


class ResumableFitLoop(_FitLoop):
    """Lightning's loop over epochs, at rest between them."""

    epoch_loop: ResumableEpochLoop

    def load_state_dict(self, state_dict: dict[str, Any], prefix: str = "") -> None:
        super().load_state_dict(state_dict, prefix)
        if self._is_between_epochs:
            self.trainer.should_stop = self.epoch_loop.loaded["stops"]  # type: ignore[index]

    @property
    def _is_between_epochs(self) -> bool:
        loaded = self.epoch_loop.loaded
        return loaded is not None and loaded["batches"] == 0

    def reset(self) -> None:
        if self._is_between_epochs:  # the next epoch begins as every epoch does
            self.end_restart()
        super().reset()

    def end_restart(self) -> None:
        """Marks the loops as no longer restarting: nothing more is to be repeated or omitted."""
        _Loop.restarting.fset(self, False)  # type: ignore[attr-defined]  # its own setter depends on `max_steps` too

    def run(self) -> None:
        super().run()
        if self.epoch_loop.loaded is not None:  # nothing was left to train
            set_random_state(self.epoch_loop.loaded["random"])

    def setup_data(self) -> None:
        if self._combined_loader is None:
            self.epoch_loop.before_data = random_state()
        super().setup_data()

    def on_advance_end(self) -> None:
        super().on_advance_end()
        self.epoch_loop.reach("epoch")

    def on_run_end(self) -> None:
        self.epoch_loop.reach("end")
        super().on_run_end()


class ResumableEpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, at rest between them."""

    def __init__(self, trainer: Trainer, min_steps: int | None = None, max_steps: int = -1) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self.loaded: dict[str, Any] | None = None  # what was saved at rest, until the fit has resumed from it
        self.before_data: dict[str, Any] = {}  # random state before the first epoch's data iterator was made
        self._moment: RestPoint | None = None  # None: it is not at rest
        self._began: dict[str, Any] = {}  # random states before and, in the first epoch, after its iterator was made
        self._before_validation: dict[str, Any] | None = None

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        try:
            super().on_advance_end(data_fetcher)
        except LeaveValidation:
            self.reach("validation")
            return
        ends = self._is_training_done or self.trainer.should_stop  # after the last batch the epoch ends
        if not ends and not self._should_accumulate():
            self.reach("batch")

    def reach(self, moment: RestPoint) -> None:
        """Calls ``at_rest`` of the callbacks."""
        self._moment = moment
        try:
            for callback in self.trainer.callbacks:  # type: ignore[attr-defined]
                if hasattr(callback, "at_rest"):
                    callback.at_rest(self.trainer, moment)
        finally:
            self._moment = None

    def on_save_checkpoint(self) -> dict[str, Any]:
        state = super().on_save_checkpoint()
        return state if self._moment is None else state | {"at_rest": self._at_rest(self._moment)}

    def _at_rest(self, moment: RestPoint) -> dict[str, Any]:
        left = moment == "validation"
        return {
            "batches": 0 if moment in ("epoch", "end") else self.batch_progress.current.ready,
            "batch_samples": self._batch_samples(),
            "validates": left,
            "logged_steps": self._batches_that_stepped + left,
            "random": self._before_validation if left else random_state(),
            "began": self._began,
            "stops": self.trainer.should_stop,
            "metrics": self.trainer.callback_metrics,
        }

    def _should_check_val_fx(self, data_fetcher: _DataFetcher) -> bool:
        validates = super()._should_check_val_fx(data_fetcher)
        self._before_validation = random_state() if validates else None
        return validates

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        super().on_load_checkpoint(state_dict)
        self.loaded = state_dict.get("at_rest")

    def _batch_samples(self) -> int | None:
        sizes = {getattr(loader, "batch_size", None) for loader in self.trainer.fit_loop._combined_loader.flattened}  # type: ignore[union-attr]
        size = sizes.pop() if len(sizes) == 1 else None
        return None if size is None else size * self.trainer.world_size

    def _convert_batches(self, loaded: dict[str, Any]) -> None:
        """Converts the position in the epoch to batches of today's size, which depends on the number of processes."""
        before, now = loaded.get("batch_samples"), self._batch_samples()
        if before is None or now is None or before == now:
            return
        steps = self.trainer.accumulate_grad_batches
        batches = loaded["batches"] = loaded["batches"] * before // now // steps * steps
        current: Any = self.batch_progress.current
        current.ready = current.started = current.processed = current.completed = batches

    def reset(self) -> None:
        with warnings.catch_warnings():
            if self.loaded is not None:  # the position in the data is restored here
                warnings.filterwarnings("ignore", ".*your dataloader is not resumable")
            super().reset()

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        loaded, self.loaded = self.loaded, None
        if loaded is None:
            now, first = random_state(), self.trainer.current_epoch == 0
            self._began = {"before": self.before_data, "after": now} if first else {"before": now, "after": None}
            super().on_run_start(data_fetcher)
            return
        within = loaded["batches"] > 0
        if within:
            self._began = loaded["began"]
            self._convert_batches(loaded)
            self._skip_batches(loaded["batches"], data_fetcher)
        else:  # Lightning made the iterator in another random state
            set_random_state(loaded["random"])
            self._began = {"before": loaded["random"], "after": None}
            iter(data_fetcher)
        super().on_run_start(data_fetcher)
        # Schedulers and callbacks watch them.
        self.trainer._logger_connector._callback_metrics.update(loaded["metrics"])
        if within:
            set_random_state(loaded["random"])
            self.trainer.fit_loop.end_restart()  # type: ignore[attr-defined]
            self.trainer.should_stop = loaded["stops"]
            if loaded["validates"]:
                self.on_advance_end(data_fetcher)

    def _skip_batches(self, batches: int, data_fetcher: _DataFetcher) -> None:
        keeps_position = all(isinstance(loader, _Stateful) for loader in data_fetcher.combined_loader.flattened)
        if keeps_position or isinstance(data_fetcher, _DataLoaderIterDataFetcher):
            return
        before, after = self._began["before"], self._began["after"]
        if after is not None:  # the first epoch had a new iterator, even where workers outlive an epoch
            for loader in (one for one in data_fetcher.combined_loader.flattened if isinstance(one, DataLoader)):
                loader._iterator = None
        set_random_state(before)
        iter(data_fetcher)
        if after is not None:
            set_random_state(after)
        try:
            for _ in range(batches):
                next(data_fetcher)
        except StopIteration:
            raise ValueError(
                f"the checkpoint was taken after {batches} batches of an epoch, and now an epoch has fewer. "
                "Set the data and data.batch_size as they were"
            ) from None
        data_fetcher.fetched -= batches  # Lightning adds them
