"""Lightning's Trainer, with the callback."""

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals


class Net(LightningModule):
    """Three layers, and how they learn."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 5))

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return nn.functional.cross_entropy(self.layers(batch[0]), batch[1])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


x = torch.randn(512, 20)
vitals = GradientVitals(every_n_steps=10)
trainer = Trainer(max_epochs=10, accelerator="cpu", logger=False, gradient_clip_val=1.0, callbacks=[vitals])
trainer.fit(Net(), DataLoader(TensorDataset(x, x[:, :5].argmax(dim=1)), batch_size=64, shuffle=True))
print(vitals)
