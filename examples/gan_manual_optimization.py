"""A GAN under Lightning's manual optimization. Its losses do not show progress; the metric that it logs may."""

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.utils.data import DataLoader, TensorDataset

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

    def training_step(self, batch: list[Tensor]) -> None:
        of_generator, of_critic = self.optimizers()  # type: ignore[attr-defined]  # a list, where there are several
        made = self.generator(torch.randn(len(batch[0]), 4))
        of_critic.zero_grad()
        self.manual_backward(softplus(-self.critic(batch[0])).mean() + softplus(self.critic(made.detach())).mean())
        of_critic.step()
        of_generator.zero_grad()
        self.manual_backward(softplus(-self.critic(made)).mean())
        of_generator.step()
        self.log("distance", (made.norm(dim=1) - 1).abs().mean())  # mean distance of its points from the circle

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        return [torch.optim.Adam(part.parameters(), 1e-3, (0.5, 0.9)) for part in (self.generator, self.critic)]


vitals = GradientVitals(metric="distance", mode="min")
trainer = Trainer(max_epochs=40, accelerator="cpu", logger=False, enable_checkpointing=False, callbacks=[vitals])
trainer.fit(Gan(), DataLoader(TensorDataset(ring), batch_size=64, shuffle=True))
print(vitals)
