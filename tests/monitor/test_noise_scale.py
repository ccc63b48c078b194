"""The gradient noise scale of a fit."""

import pytest
import torch
from lightning import LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader

from gradvitals import GradientVitals


def test_the_noise_scale_of_a_fit():
    # The gradient of w in mean(w * x) is mean(x): G = 1, of one sample's variance 9: 9 samples.
    class Noisy(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Linear(200, 1, bias=False)

        def training_step(self, batch, batch_idx):
            return self.net(1 + 3 * torch.randn(8, 200)).mean() + 0 * batch[0].sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.0)

    monitor = GradientVitals(every_n_steps=2, noise_scale=True, activations=False)
    trainer = Trainer(
        max_steps=800, max_epochs=-1, accelerator="cpu", logger=False, callbacks=[monitor],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Noisy(), DataLoader(torch.zeros(800, 1), batch_size=8))
    assert monitor.end["noise_scale/total"] == pytest.approx(9, rel=0.1)
