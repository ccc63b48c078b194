"""Parts of which cases are made: data in memory, a supervised module, optimizers, scores."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from lightning import LightningModule
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler
from torch.utils.data import DataLoader, TensorDataset

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
MakeScheduler = Callable[[Optimizer], LRScheduler]
Loss = Callable[[Any, Any], Tensor]
Split = tuple[Tensor, Tensor, Tensor, Tensor]  # x and y for training, x and y held out


def adam(lr: float, **options: Any) -> MakeOptimizer:
    """Makes Adam."""
    return partial(Adam, lr=lr, **options)


def adamw(lr: float, **options: Any) -> MakeOptimizer:
    """Makes AdamW."""
    return partial(AdamW, lr=lr, **options)


def sgd(lr: float, **options: Any) -> MakeOptimizer:
    """Makes SGD."""
    return partial(SGD, lr=lr, **options)


def schedule(factor: Callable[[int], float]) -> MakeScheduler:
    """Makes a schedule of the rate's factor by step."""
    return partial(LambdaLR, lr_lambda=factor)


def warmup_cosine(warmup: int, steps: int) -> MakeScheduler:
    """Makes a linear warm-up that is followed by half a cosine."""

    def factor(step: int) -> float:
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - warmup) / (steps - warmup))))

    return schedule(factor)


class Supervised(LightningModule):
    """A net, a loss of its output and the target, an optimizer.

    Args:
        net: called with the inputs.
        loss: of the output and the target.
        optimizer: makes the optimizer of ``parameters``.
        scheduler: of the rate, by step.
        parameters: those that are trained; None: all of the net.
    """

    def __init__(
        self,
        net: nn.Module,
        loss: Loss = F.cross_entropy,
        optimizer: MakeOptimizer = adam(1e-3),  # noqa: B008
        scheduler: MakeScheduler | None = None,
        parameters: Callable[[nn.Module], Iterable[nn.Parameter]] | None = None,
    ) -> None:
        super().__init__()
        self.net, self.loss = net, loss
        self._optimizer, self._scheduler, self._trained = optimizer, scheduler, parameters

    def forward(self, x: Tensor) -> Any:
        return self.net(x)

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, y = batch
        return self.loss(self(x), y)

    def validation_step(self, batch: Any, _: int) -> None:
        x, y = batch
        self.log("val/loss", self.loss(self(x), y))

    def configure_optimizers(self) -> Any:
        trained = self._trained(self.net) if self._trained else (p for p in self.parameters() if p.requires_grad)
        optimizer = self._optimizer(trained)
        if self._scheduler is None:
            return optimizer
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self._scheduler(optimizer), "interval": "step"},
        }


class Reconstructs(Supervised):
    """The target is the input; labels that come with it are not used."""

    def training_step(self, batch: Any, _: int) -> Tensor:
        return self.loss(self(batch[0]), batch[0])


def batches(*tensors: Tensor, size: int = 32) -> DataLoader:
    """Returns a loader of shuffled batches of one size."""
    return DataLoader(TensorDataset(*tensors), batch_size=size, shuffle=True, drop_last=True)


def split(x: Tensor, y: Tensor, held_out: float = 0.2) -> Split:
    """Returns a random part for training, and the rest."""
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    cut = round(len(x) * (1 - held_out))
    return x[order[:cut]], y[order[:cut]], x[order[cut:]], y[order[cut:]]


@cache
def digits() -> Split:
    """Images of (1, 8, 8) in [0, 1], ten classes."""
    data = load_digits()
    return split(torch.tensor(data.images, dtype=torch.float32)[:, None] / 16, torch.tensor(data.target))


@cache
def breast() -> Split:
    """30 standardized features, two classes: 63 % are 1."""
    data = load_breast_cancer()
    return split(standardized(torch.tensor(data.data, dtype=torch.float32)), torch.tensor(data.target))


@cache
def diabetes() -> Split:
    """Ten standardized features, targets from 25 to 346."""
    data = load_diabetes()
    features = standardized(torch.tensor(data.data, dtype=torch.float32))
    return split(features, torch.tensor(data.target, dtype=torch.float32))


def standardized(x: Tensor) -> Tensor:
    """Each column with mean 0 and deviation 1."""
    return (x - x.mean(0)) / x.std(0)


def accuracy(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of samples whose largest output is that of their class."""
    return lambda module: float((predicted(module, x).argmax(1) == y).float().mean())


def r2(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of the targets' variance that is explained."""

    def score(module: LightningModule) -> float:
        return float(1 - F.mse_loss(predicted(module, x).flatten(), y.flatten()) / y.var(unbiased=False))

    return score


def predicted(module: nn.Module, x: Tensor) -> Tensor:
    """The output without a graph."""
    with torch.no_grad():
        return module(x)


def chained(*widths: int, act: Callable[[], nn.Module] = nn.ReLU) -> nn.Sequential:
    """An MLP."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in pairwise(widths):
        layers += [nn.Linear(fan_in, fan_out), act()]
    return nn.Sequential(*layers[:-1])
