"""What a training program is, and what becomes of it under the monitor."""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.callbacks.gradient_vitals import GradientVitals

Tensors = tuple[Tensor, Tensor]
Score = Callable[[Tensor, Tensor], float]


@dataclass(frozen=True)
class Split:
    """Training rows, and held-out rows that are scored; the latter carry the targets that are truly meant."""

    train: Tensors
    test: Tensors


class Program(LightningModule):
    """A program as its author wrote it."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan = plan
        self.net = plan.net()

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Tensors, batch_idx: int) -> Tensor:
        x, y = batch
        loss = self.plan.loss(self(self.plan.augment(x)), y)
        return loss + self.plan.penalty(self.net) if self.plan.penalty else loss

    def configure_optimizers(self) -> Any:
        return self.plan.optimizer(self)


@dataclass(frozen=True)
class Plan:
    """Everything that a program needs.

    Attributes:
        data: the rows, preprocessed as the program does it; the seed of everything is set before the call.
        net, loss, optimizer: as in any program; the optimizer is built from the module.
        score: of held-out outputs and targets: 0 is the best answer that ignores the input, 1 is perfect.
        augment: what is done with each training batch.
        penalty: of the net, added to the loss.
        module: for programs that optimize by hand.
    """

    data: Callable[[], Split]
    net: Callable[[], nn.Module]
    loss: Callable[[Tensor, Tensor], Tensor]
    optimizer: Callable[[nn.Module], Any]
    score: Score
    batch: int
    epochs: int
    augment: Callable[[Tensor], Tensor] = lambda x: x
    penalty: Callable[[nn.Module], Tensor] | None = None
    module: type[Program] = Program


def train(plan: Plan, seed: int) -> dict[str, Any]:
    """Trains with the monitor's defaults; returns the verdict and the held-out score as plain values."""
    torch.set_num_threads(1)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    seed_everything(seed, verbose=False)
    split, module, monitor = plan.data(), plan.module(plan), GradientVitals()
    quiet = dict.fromkeys(("enable_checkpointing", "enable_progress_bar", "enable_model_summary", "logger"), False)
    trainer = Trainer(max_epochs=plan.epochs, accelerator="cpu", devices=1, callbacks=[monitor], **quiet)
    began = time.perf_counter()
    trainer.fit(module, DataLoader(TensorDataset(*split.train), batch_size=plan.batch, shuffle=True))
    seconds = time.perf_counter() - began
    with torch.no_grad():
        score = plan.score(module.eval()(split.test[0]), split.test[1])
    found = monitor.diagnosis
    return {
        "verdict": found.verdict,
        "step": found.step,
        "steps": trainer.global_step,
        "evidence": str(found),
        "score": score if score == score else -1.0,  # a net of NaN
        "seconds": seconds,
    }


def adam(lr: float = 1e-3, **options: Any) -> Callable[[nn.Module], Optimizer]:
    """Returns what builds Adam for a module."""
    return lambda module: torch.optim.Adam(module.parameters(), lr, **options)


def sgd(lr: float = 0.01, **options: Any) -> Callable[[nn.Module], Optimizer]:
    """Returns what builds SGD for a module."""
    return lambda module: torch.optim.SGD(module.parameters(), lr, **options)


def rmsprop(lr: float = 1e-3) -> Callable[[nn.Module], Optimizer]:
    """Returns what builds RMSprop for a module, with the decay of Keras."""
    return lambda module: torch.optim.RMSprop(module.parameters(), lr, alpha=0.9, eps=1e-7)


def classes(output: Tensor, y: Tensor) -> float:
    """Scores accuracy, the largest class being 0.

    Example:
        >>> classes(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0, 1]))
        1.0
    """
    return _above_base((output.argmax(1) == y).double().mean().item(), y.bincount().max().item() / len(y))


def binary(threshold: float = 0.5) -> Score:
    """Scores the accuracy of one output or several labels; 0 is the base rate of each label."""

    def score(output: Tensor, y: Tensor) -> float:
        right = ((output.reshape(y.shape) > threshold) == (y > 0.5)).double().mean().item()
        ones = (y > 0.5).double().reshape(len(y), -1).mean(0)
        return _above_base(right, torch.maximum(ones, 1 - ones).mean().item())

    return score


def explained(output: Tensor, y: Tensor) -> float:
    """Scores the share of the targets' variance that is explained, at least -1; their scale does not matter."""
    output, y = output.double().reshape(len(y), -1), y.double().reshape(len(y), -1)
    share = 1 - (output - y).square().mean() / (y - y.mean(0)).square().mean()
    return max(share.item(), -1.0) if share == share else -1.0


def _above_base(accuracy: float, base: float) -> float:
    return (accuracy - base) / (1 - base)
