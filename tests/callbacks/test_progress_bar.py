"""The bar is told what it shows, and no more."""

import io

import pytest
import rich
import torch
from lightning import LightningModule
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks.progress_bar import ProgressBar
from tests.callbacks.trainer import bare_trainer


class Model(LightningModule):
    def __init__(self):
        super().__init__()
        self.net = torch.nn.Linear(2, 1)

    def training_step(self, batch, batch_idx):
        loss = self.net(batch[0]).square().mean()
        self.log("train/loss", loss)
        return loss

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=1e-3)


class Counting(ProgressBar):
    """Counts what it is told, and keeps how far the bar stood and what was beside it at the end of each epoch."""

    def __init__(self, **settings):
        super().__init__(**settings, console_kwargs={"file": io.StringIO(), "force_terminal": True, "width": 120})
        self.told, self.ends, self.starts, self.speeds = 0, [], [], []

    def _update(self, *args, **settings):
        self.told += 1
        super()._update(*args, **settings)

    def on_train_epoch_start(self, trainer, pl_module):
        super().on_train_epoch_start(trainer, pl_module)
        if self.is_enabled:
            self.starts.append(self.train_progress_bar.completed)

    def on_train_epoch_end(self, trainer, pl_module):
        super().on_train_epoch_end(trainer, pl_module)
        if self.is_enabled:
            self.speeds.append(self.train_progress_bar.speed)
            self.ends.append((self.train_progress_bar.completed, self.get_metrics(trainer, pl_module)))


def fitted(bar: ProgressBar, epochs: int = 3) -> ProgressBar:
    trainer = bare_trainer(bar, max_epochs=epochs, log_every_n_steps=1)
    trainer.fit(Model(), DataLoader(TensorDataset(torch.ones(400, 2)), batch_size=2))
    return bar


def test_it_is_told_as_often_as_it_is_drawn_and_of_the_last_batch():
    bar = fitted(Counting(refresh_rate=1))
    assert bar.told < 20  # of 600 batches
    assert [completed for completed, _ in bar.ends] == [200, 200, 200]
    assert bar.starts == [0, 0, 0]
    assert all(speed > 10 for speed in bar.speeds)  # batches a second


def test_it_shows_the_loss_though_nobody_asked_for_that():
    losses = [metrics["train/loss"] for _, metrics in fitted(Counting(refresh_rate=1)).ends]
    assert losses[0] > 0
    assert losses == sorted(losses, reverse=True)


def test_without_a_rate_there_is_no_bar():
    bar = fitted(Counting(refresh_rate=0))
    assert (bar.told, bar.ends) == (0, [])


@pytest.mark.parametrize(("width", "is_timed"), [(80, False), (120, True)])
def test_a_narrow_terminal_shows_the_metrics_instead_of_the_time(width, is_timed):
    try:
        rich.reconfigure(width=width)
        columns = ProgressBar().configure_columns(None)
    finally:
        rich.reconfigure()
    assert any(type(column).__name__ == "CustomTimeColumn" for column in columns) is is_timed
