"""Lightning's progress bar, updated only as often as it is drawn."""

from __future__ import annotations

import time
from typing import Any

import rich
from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from lightning.pytorch.callbacks.progress.rich_progress import CustomTimeColumn
from rich.progress import BarColumn

LOSS = "train/loss"
NARROW_BAR = 12  # columns
WIDE = 100  # columns of a terminal in which all columns of the bar fit on one line


class ProgressBar(RichProgressBar):
    """Updates the bar as often as it is drawn, not at every batch, and does not draw at once when an epoch begins.

    ``train/loss`` is shown without having been logged with ``prog_bar=True``, for which Lightning would fetch it from
    the device at every step; here it is fetched where it is logged.

    Args:
        refresh_rate: drawings a second; 0: no bar.
        settings: of Lightning's ``RichProgressBar``.
    """

    def __init__(self, refresh_rate: int = 4, **settings: Any) -> None:
        super().__init__(refresh_rate, **settings)
        self._updated_at = 0.0
        self._loss: dict[str, float] = {}

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self.progress is None:
            super().on_train_epoch_start(trainer, pl_module)
            return
        off, self.progress.disable = self.progress.disable, True  # rich would draw the reset bar
        super().on_train_epoch_start(trainer, pl_module)
        self.progress.disable = off

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._loss = {tag: value.item() for tag, value in trainer.callback_metrics.items() if tag == LOSS}
        now = time.monotonic()
        at_an_end = batch_idx in (0, trainer.num_training_batches - 1)  # where the speed is computed
        if self.is_enabled and (at_an_end or now - self._updated_at >= 1 / self.refresh_rate):
            self._updated_at = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def configure_columns(self, trainer: Trainer) -> list[Any]:
        """Returns Lightning's columns; in a narrow terminal without the time, so that the metrics fit on the line."""
        columns = super().configure_columns(trainer)
        if rich.get_console().width >= WIDE:
            return columns
        for bar in (each for each in columns if isinstance(each, BarColumn)):
            bar.bar_width = NARROW_BAR
        return [each for each in columns if not isinstance(each, CustomTimeColumn)]

    def get_metrics(self, trainer: Trainer, pl_module: LightningModule) -> dict[str, Any]:
        return self._loss | super().get_metrics(trainer, pl_module)
