"""A GAN under Lightning's manual optimization. Its losses do not show progress, so the monitor is given a metric."""

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader

from gradvitals import GradientVitals

angle = 6.28 * torch.rand(2048, 1)
ring = torch.cat([angle.cos(), angle.sin()], dim=1)  # what is imitated: points on a circle


class Gan(LightningModule):
    """A generator and a critic take turns."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
        self.critic = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def training_step(self, real: Tensor) -> None:
        made = self.generator(torch.randn(len(real), 4))
        of_generator, of_critic = self.optimizers()
        for optimizer, loss in (
            (of_critic, lambda: softplus(-self.critic(real)).mean() + softplus(self.critic(made.detach())).mean()),
            (of_generator, lambda: softplus(-self.critic(made)).mean()),
        ):
            optimizer.zero_grad()
            self.manual_backward(loss())
            optimizer.step()

    def on_train_epoch_end(self) -> None:
        points = self.generator(torch.randn(1000, 4))
        self.log("distance", (points.norm(dim=1) - 1).abs().mean())  # from the circle

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(part.parameters(), 1e-3, (0.5, 0.9)) for part in (self.generator, self.critic)]


vitals = GradientVitals(metric="distance", mode="min")
Trainer(max_epochs=40, accelerator="cpu", logger=False, callbacks=[vitals]).fit(Gan(), DataLoader(ring, 64, True))
print(vitals)
