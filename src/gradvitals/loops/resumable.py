"""Going on from a checkpoint as if the fit had never ended.

Lightning restores weights, optimizers, schedulers and counters; not the random state, nor how far into the training
data an epoch had come. And of what follows a batch (validation, schedulers that watch a metric, logging) it repeats
some and leaves out some, by the hook that a checkpoint was taken in. So here a checkpoint is taken *at rest*: between
two batches or two epochs, when nothing of the one before is still to come. The loops tell every callback that has a
method ``at_rest`` of such moments, and go on from what was saved in them to the last bit. Checkpoints that were taken
at another moment are resumed in Lightning's own way.

What cannot be known: the random states of workers that outlive an epoch, and draws of an iterable data set without a
length, of which Lightning fetches one batch ahead. Means over an epoch that a module of one's own logs while it trains
cover the batches since the checkpoint.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal, Protocol

import torch
from lightning import Trainer
from lightning.fabric.utilities.types import _Stateful
from lightning.pytorch.loops.fetchers import _DataFetcher, _DataLoaderIterDataFetcher
from lightning.pytorch.loops.fit_loop import _FitLoop
from lightning.pytorch.loops.loop import _Loop
from lightning.pytorch.loops.training_epoch_loop import _TrainingEpochLoop
from torch.utils.data import DataLoader

from gradvitals.loops.random_state import random_state, set_random_state

RestPoint = Literal["batch", "validation", "epoch", "end"]  # what has just ended; "validation" was left halfway


class AtRest(Protocol):
    """A callback that is told when the fit is at rest, and may then call ``trainer.save_checkpoint``."""

    def at_rest(self, trainer: Trainer, moment: RestPoint) -> None: ...


class LeaveValidation(Exception):
    """Raised in a hook of validation to leave it; a fit that goes on from there begins by repeating it."""


def logged_steps(checkpoint: dict[str, Any]) -> int:
    """The first step of which a fit that goes on from a checkpoint will log anything; what is logged from there on
    comes again."""
    rest = _at_rest(checkpoint)
    return checkpoint["global_step"] if rest is None else rest["logged_steps"]


def seed_of(checkpoint: dict[str, Any]) -> int | None:
    """The seed that torch was given in the fit that took a checkpoint; None where it does not tell."""
    rest = _at_rest(checkpoint)
    if rest is None:
        return None
    generator = torch.Generator()
    generator.set_state(rest["random"]["torch"])
    return generator.initial_seed()


def _at_rest(checkpoint: dict[str, Any]) -> dict[str, Any] | None:
    return checkpoint.get("loops", {}).get("fit_loop", {}).get("epoch_loop.state_dict", {}).get("at_rest")


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
        if self._is_between_epochs:  # the next one begins as any does
            self.go_on()
        super().reset()

    def go_on(self) -> None:
        """From here on nothing is to be repeated or left out."""
        _Loop.restarting.fset(self, False)  # type: ignore[attr-defined]  # its own setter answers to `max_steps` too

    def run(self) -> None:
        super().run()
        if self.epoch_loop.loaded is not None:  # there was nothing left to train
            set_random_state(self.epoch_loop.loaded["random"])

    def setup_data(self) -> None:
        if self._combined_loader is None:
            self.epoch_loop.before_data = random_state()
        super().setup_data()

    def on_advance_end(self) -> None:
        super().on_advance_end()
        self.epoch_loop.rest("epoch")

    def on_run_end(self) -> None:
        self.epoch_loop.rest("end")
        super().on_run_end()


class ResumableEpochLoop(_TrainingEpochLoop):
    """Lightning's loop over the batches of an epoch, at rest between them."""

    def __init__(self, trainer: Trainer, min_steps: int | None = None, max_steps: int = -1) -> None:
        super().__init__(trainer, min_steps, max_steps)
        self.loaded: dict[str, Any] | None = None  # what was saved at rest, until the fit has gone on from it
        self.before_data: dict[str, Any] = {}  # random state before the first epoch's data were begun
        self._moment: RestPoint | None = None  # None: it is not at rest
        self._began: dict[str, Any] = {}  # random states before and, where other things came between, after that
        self._before_validation: dict[str, Any] | None = None

    # Saving

    def on_advance_end(self, data_fetcher: _DataFetcher) -> None:
        try:
            super().on_advance_end(data_fetcher)
        except LeaveValidation:
            self.rest("validation")
            return
        ends = self._is_training_done or self.trainer.should_stop  # after the last batch comes the epoch's end
        if not ends and not self._should_accumulate():
            self.rest("batch")

    def rest(self, moment: RestPoint) -> None:
        """Tell the callbacks that the fit is at rest."""
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
        """What it takes to go on exactly."""
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

    # Going on

    def on_load_checkpoint(self, state_dict: dict[str, Any]) -> None:
        super().on_load_checkpoint(state_dict)
        self.loaded = state_dict.get("at_rest")

    def _batch_samples(self) -> int | None:
        """Samples of a batch in all processes; None where the loader does not tell."""
        sizes = {getattr(loader, "batch_size", None) for loader in self.trainer.fit_loop._combined_loader.flattened}  # type: ignore[union-attr]
        size = sizes.pop() if len(sizes) == 1 else None
        return None if size is None else size * self.trainer.world_size

    def _as_many_samples(self, loaded: dict[str, Any]) -> None:
        """Count the epoch's batches as they are now: with more or fewer processes a batch holds other samples."""
        before, now = loaded.get("batch_samples"), self._batch_samples()
        if before is None or now is None or before == now:
            return
        steps = self.trainer.accumulate_grad_batches
        batches = loaded["batches"] = loaded["batches"] * before // now // steps * steps
        current: Any = self.batch_progress.current
        current.ready = current.started = current.processed = current.completed = batches

    def reset(self) -> None:
        with warnings.catch_warnings():
            if self.loaded is not None:  # the position in the data is restored here, whatever the loader
                warnings.filterwarnings("ignore", ".*your dataloader is not resumable")
            super().reset()

    def on_run_start(self, data_fetcher: _DataFetcher) -> None:
        loaded, self.loaded = self.loaded, None
        within = loaded is not None and loaded["batches"] > 0
        if loaded is None:
            now, first = random_state(), self.trainer.current_epoch == 0
            self._began = {"before": self.before_data, "after": now} if first else {"before": now, "after": None}
        elif not within:
            self._begin_anew(data_fetcher, loaded["random"])
        else:
            self._began = loaded["began"]
            self._as_many_samples(loaded)
            self._go_to(loaded["batches"], data_fetcher)
        super().on_run_start(data_fetcher)
        if loaded is not None:  # what schedulers and callbacks watch
            self.trainer._logger_connector._callback_metrics.update(loaded["metrics"])
        if loaded is not None and within:
            set_random_state(loaded["random"])
            self.trainer.fit_loop.go_on()  # type: ignore[attr-defined]
            self.trainer.should_stop = loaded["stops"]
            if loaded["validates"]:
                self.on_advance_end(data_fetcher)

    def _begin_anew(self, data_fetcher: _DataFetcher, random: dict[str, Any]) -> None:
        """Begin the epoch's data again: the random state was another when Lightning did."""
        set_random_state(random)
        self._began = {"before": random, "after": None}
        iter(data_fetcher)

    def _go_to(self, batches: int, data_fetcher: _DataFetcher) -> None:
        """Pass over the batches that were trained on; a loader that keeps its own position is left alone."""
        keeps_position = all(isinstance(loader, _Stateful) for loader in data_fetcher.combined_loader.flattened)
        if keeps_position or isinstance(data_fetcher, _DataLoaderIterDataFetcher):
            return
        before, after = self._began["before"], self._began["after"]
        if after is not None:  # the first epoch's data came from a new iterator, also where workers live on
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
                f"the checkpoint was taken after {batches} batches of an epoch, and the data have fewer now. "
                "Set the data and data.batch_size as they were"
            ) from None
        data_fetcher.fetched -= batches  # Lightning adds them
