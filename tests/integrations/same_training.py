"""One training by Lightning's Trainer and by a loop of one's own, for the numbers of both."""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from lightning import LightningModule
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.amp import GradScaler
from torch.utils.data import DataLoader

from gradvitals import GradientVitals, Vitals, watch
from tests.callbacks.trainer import bare_trainer

SETTINGS = {"every_n_steps": 3, "first_steps": 2}


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))


def batches(count: int = 12) -> list:
    x = torch.randn(count * 10, 4, generator=torch.Generator().manual_seed(1))
    return list(zip(x.split(10), (torch.arange(count * 10) % 3).split(10), strict=True))


def adam(net: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(net.parameters(), lr=0.01)


@dataclass
class Training:
    """What is done in it; by norm at ``clip``, or by value where that is negative."""

    clip: float | None = None
    accumulate: int = 1
    scale: float | None = None
    optimizer: Callable[[nn.Module], torch.optim.Optimizer] = adam

    def scaler(self) -> GradScaler | None:
        return GradScaler("cpu", init_scale=self.scale, growth_interval=4) if self.scale else None

    def by_lightning(self) -> GradientVitals:
        monitor = GradientVitals(**SETTINGS, clip_cosine=self.clip is not None)
        plugins = [MixedPrecision("16-mixed", "cpu", scaler=scaler)] if (scaler := self.scaler()) else []
        options = {"max_epochs": 1, "accumulate_grad_batches": self.accumulate, "plugins": plugins}
        if self.clip:
            options["gradient_clip_val"] = abs(self.clip)
            options["gradient_clip_algorithm"] = "norm" if self.clip > 0 else "value"
        trainer = bare_trainer(monitor, **options)
        trainer.fit(Module(network(), self.optimizer), DataLoader(batches(), batch_size=None))
        return monitor

    def by_hand(self) -> Vitals:
        net, scaler = Named(network()), self.scaler()
        optimizer, total = self.optimizer(net), len(batches()) // self.accumulate
        options = {"total_steps": total, "scaler": scaler, "accumulate_grad_batches": self.accumulate}
        with watch(net, optimizer, **options, **SETTINGS, clip_cosine=self.clip is not None) as vitals:
            for index, (x, y) in enumerate(batches()):
                with torch.autocast("cpu", torch.float16) if scaler else nullcontext():
                    loss = F.cross_entropy(net(x), y) / self.accumulate
                (scaler.scale(loss) if scaler else loss).backward()
                if (index + 1) % self.accumulate == 0:
                    self.step(net, optimizer, scaler)
                    optimizer.zero_grad()
                vitals.log(loss)
        return vitals

    def step(self, net: nn.Module, optimizer: torch.optim.Optimizer, scaler: GradScaler | None) -> None:
        if self.clip:
            if scaler:
                scaler.unscale_(optimizer)
            by_norm = self.clip > 0
            clip = torch.nn.utils.clip_grad_norm_ if by_norm else torch.nn.utils.clip_grad_value_
            clip(net.parameters(), abs(self.clip))
        if scaler:
            scaler.step(optimizer)
            scaler.update()
        else:
            optimizer.step()


class Named(nn.Module):
    """A network under the name that it has in the LightningModule."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x)


class Module(LightningModule):
    def __init__(self, net: nn.Module, optimizer: Callable[[nn.Module], torch.optim.Optimizer]) -> None:
        super().__init__()
        self.net, self.optimizer = net, optimizer

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return self.optimizer(self)
