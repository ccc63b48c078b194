"""What most cases are made of: a module around a net and a loss, loaders, and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from itertools import pairwise
from typing import Any

import torch
from case import Case
from lightning import LightningModule
from torch import Tensor, nn
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

CASES: list[Case] = []  # none of its own
Batch = list[Tensor]
LossOf = Callable[[nn.Module, Batch], Tensor]
Optimizer = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
Rate = Callable[[int], float]


def adam(lr: float, **options: Any) -> Optimizer:
    """Returns what makes an Adam of parameters."""
    return lambda parameters: torch.optim.Adam(parameters, lr=lr, **options)


def adamw(lr: float, **options: Any) -> Optimizer:
    """Returns what makes an AdamW of parameters."""
    return lambda parameters: torch.optim.AdamW(parameters, lr=lr, **options)


def sgd(lr: float, **options: Any) -> Optimizer:
    """Returns what makes an SGD of parameters."""
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, **options)


ADAM, FASTER, ADAMW = adam(3e-3), adam(5e-3), adamw(3e-3)


class Supervised(LightningModule):
    """Trains a net on a loss with one optimizer and perhaps a schedule by step."""

    def __init__(self, net: nn.Module, loss_of: LossOf, optimizer: Optimizer, rate: Rate | None = None):
        super().__init__()
        self.net, self.loss_of, self.optimizer, self.rate = net, loss_of, optimizer, rate

    def forward(self, *inputs: Tensor) -> Tensor:
        return self.net(*inputs)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        return self.loss_of(self.net, batch)

    def validation_step(self, batch: Batch, _: int) -> None:
        self.log("val/loss", self.loss_of(self.net, batch))

    def configure_optimizers(self) -> Any:
        optimizer = self.optimizer(p for p in self.net.parameters() if p.requires_grad)
        if self.rate is None:
            return optimizer
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class OfCopy(Supervised):
    """Gives the optimizer the parameters of a copy of the net."""

    def configure_optimizers(self) -> Any:
        self.copied = [deepcopy(self.net)]
        return self.optimizer(self.copied[0].parameters())


class NeverZeroed(Supervised):
    """Steps by hand and never sets gradients to zero."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = self.loss_of(self.net, batch)
        self.manual_backward(loss)
        self.optimizers().step()
        return loss


class ByHand(Supervised):
    """Steps by hand and returns nothing."""

    def __init__(self, *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.automatic_optimization = False

    def training_step(self, batch: Batch, _: int) -> None:
        optimizer = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward(self.loss_of(self.net, batch))
        optimizer.step()


def dice(seed: int = 0) -> torch.Generator:
    """Returns a generator of random numbers, so that data do not depend on what was drawn before."""
    return torch.Generator().manual_seed(seed)


def loader(*tensors: Tensor, batch: int = 64) -> DataLoader:
    """Loads batches in random order; small data sets are drawn from 50 batches an epoch."""
    data = TensorDataset(*tensors)
    if len(data) < 50 * batch:
        return DataLoader(data, batch, sampler=RandomSampler(data, replacement=True, num_samples=50 * batch))
    return DataLoader(data, batch, shuffle=True, drop_last=True)


def split(*tensors: Tensor, held_out: float = 0.25) -> tuple[list[Tensor], list[Tensor]]:
    """Splits rows at random, and always alike, into what is trained on and what is held out."""
    order = torch.randperm(len(tensors[0]), generator=dice(7))
    cut = int(len(order) * (1 - held_out))
    return [t[order[:cut]] for t in tensors], [t[order[cut:]] for t in tensors]


def shuffled(labels: Tensor) -> Tensor:
    """Returns the labels in an order that has nothing to do with the inputs."""
    return labels[torch.randperm(len(labels), generator=dice(11))]


def mlp(*widths: int, act: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Makes linear layers of these widths with an activation between them."""
    layers: list[nn.Module] = []
    for wide, narrow in pairwise(widths):
        layers += [nn.Linear(wide, narrow), act()]
    return nn.Sequential(*layers[:-1])


def accuracy(outputs: Tensor, labels: Tensor) -> float:
    """Returns the share of samples of which the label has the highest output."""
    return (outputs.argmax(-1) == labels).float().mean().item()


def explained(outputs: Tensor, targets: Tensor) -> float:
    """Returns R2, the share of the variance that is explained, at least -1."""
    residual = (outputs - targets).square().mean() / (targets - targets.mean(0)).square().mean()
    return max(-1.0, 1 - residual.item()) if residual.isfinite() else -1.0


def auc(outputs: Tensor, labels: Tensor) -> float:
    """Returns how often a positive is ranked above a negative; ties, and what is not finite, count half."""
    outputs = outputs.flatten().nan_to_num(0, 0, 0)
    difference = outputs[labels.flatten() > 0.5][:, None] - outputs[labels.flatten() < 0.5][None]
    return ((difference > 0).float() + 0.5 * (difference == 0).float()).mean().item()


@torch.no_grad()
def predicted(module: LightningModule, *inputs: Tensor) -> Tensor:
    """Returns the net's output in evaluation mode."""
    return module.eval()(*inputs)
