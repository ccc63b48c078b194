"""A small network, and a fit of it under the monitor."""

import torch
import torch.nn.functional as F
from lightning import LightningModule
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
