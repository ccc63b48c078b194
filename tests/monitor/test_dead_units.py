"""Dead units, counted over at least a thousand samples."""

import pytest
import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals
from tests.callbacks.trainer import bare_trainer


class Model(LightningModule):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.net = nn.Sequential(*(layers or (nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3))))

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        self.net(batch[0])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.01)


def fit(model: LightningModule, monitor: GradientVitals, *callbacks, samples=60, **options) -> GradientVitals:
    trainer = bare_trainer(monitor, *callbacks, **{"max_epochs": 2, "num_sanity_val_steps": 0} | options)
    x = torch.randn(samples, 4, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(x, torch.arange(samples) % 3), batch_size=10)
    trainer.fit(model, loader, loader)
    return monitor


def dying() -> Model:
    model = Model()
    model.net[0].bias.data[:2] = -100.0
    return model


def test_dead_units_are_told_after_a_thousand_samples():
    seen = {}

    class Looks(Callback):
        def on_train_batch_end(self, trainer, *_):
            step = trainer.global_step - 1
            seen[step] = monitor.end.get("dead_fraction/00.net.0")

    monitor = GradientVitals(every_n_steps=10, first_steps=0)
    fit(dying(), monitor, Looks(), samples=2000, max_epochs=1)
    assert seen[99] is None  # the thousandth sample has just been seen; the next measured step tells
    assert seen[100] == pytest.approx(2 / 6)
    assert "dead_fraction/01.net.2" not in monitor.end  # no activation behind it


def test_fewer_samples_tell_nothing():
    assert not [tag for tag in fit(dying(), GradientVitals(every_n_steps=1), samples=400).end if "dead" in tag]


def test_dead_units_in_a_compiled_net_are_counted_over_measured_steps():
    model = dying()
    model.net = torch.compile(model.net, backend="eager")
    monitor = fit(model, GradientVitals(every_n_steps=1), samples=600)
    assert monitor.end["dead_fraction/00.net.0"] == pytest.approx(2 / 6)
