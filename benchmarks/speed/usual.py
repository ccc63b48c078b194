"""The same training as people usually write it: in Lightning from a torchvision dataset, and in Keras.

The usual template: ``ToTensor`` and ``Normalize`` per sample, a default ``DataLoader``, loss and accuracy logged with
``self.log`` at every step, TensorBoard, progress bar, the best checkpoint. ``KERAS_PYTHON`` names an interpreter that
has TensorFlow, in an environment of its own.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from results_page import goal
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy
from torchvision import datasets, transforms
from turns import Turns, assemble, begin, fit, settings

BATCH = 128
FASHION = ("experiment=fashion_3x100", "data.download=false")


class Usual(LightningModule):
    """A network, Adam, and its loss and accuracy logged."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net, self.accuracy = net, MulticlassAccuracy(10, average="micro")

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        x, y = batch
        outputs = self.net(x)
        loss = F.cross_entropy(outputs, y)
        self.accuracy(outputs, y)
        self.log("train/loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.log("train/acc", self.accuracy, on_step=True, on_epoch=True, prog_bar=True)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=1e-3)


class Clock(Callback):
    """Seconds of the steps alone."""

    def on_train_epoch_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_batch_end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.began


class Template:
    """The usual training, some steps at a time."""

    def __init__(self, net: nn.Module, root: str) -> None:
        steps = [transforms.ToTensor(), transforms.Normalize((0.2860,), (0.3530,))]
        data = datasets.FashionMNIST(root, transform=transforms.Compose(steps))
        self.model, self.loader = Usual(net), DataLoader(data, BATCH, shuffle=True)

    def steps(self, number: int) -> float:
        """The seconds of so many."""
        clock, folder = Clock(), tempfile.mkdtemp()
        Trainer(
            max_epochs=1,
            limit_train_batches=number,
            logger=TensorBoardLogger(folder),
            callbacks=[clock, ModelCheckpoint(folder), RichProgressBar()],
            accelerator="cpu" if not torch.cuda.is_available() else "gpu",
            enable_model_summary=False,
        ).fit(self.model, self.loader)
        return clock.seconds


class Keras:
    """``model.fit`` in another interpreter, an epoch at a time."""

    def __init__(self, python: str, root: str) -> None:
        call = [python, str(Path(__file__).with_name("in_keras.py")), root]
        self.process = subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def epoch(self) -> float:
        """The seconds of one, validation included."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print("epoch", file=self.process.stdin, flush=True)
        while not (line := self.process.stdout.readline()).startswith("seconds "):
            if not line:
                raise RuntimeError("Keras ended")
        return float(line.split()[1])


class Epochs(Callback):
    """Whole epochs of the app in turn with Keras', validation included."""

    def __init__(self, keras: Keras, epochs: int) -> None:
        self.keras, self.epochs, self.seconds = keras, epochs, []
        self.began = 0.0

    def on_train_epoch_start(self, *_: Any) -> None:
        self.began = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
        self.seconds.append((time.perf_counter() - self.began, self.keras.epoch()))
        trainer.should_stop = len(self.seconds) > self.epochs


def lines() -> Iterator[str]:
    """The table."""
    begin()
    config = settings(*FASHION)
    yield "| | ours | theirs | ours over theirs | theirs over ours | goal |\n| --- | --- | --- | --- | --- | --- |"
    try:
        theirs = Template(assemble(settings(*FASHION)).model.net, config["data"]["root"])
    except FileNotFoundError:
        yield "| needs Fashion-MNIST at GRADVITALS_DATA | | | | | |"
        return
    turns = Turns(theirs.steps, blocks=12)
    fit(config, turns)
    (ours, usual), (ratio, low, high) = turns.milliseconds, turns.ratio()
    spread = f"{1 / ratio:.1f} ({1 / high:.1f} to {1 / low:.1f})"
    figures = f"{ours:.2f} | {usual:.2f} | {ratio:.2f} | **{spread}** | {goal(1 / ratio, least=5)}"
    yield f"| the usual template, ms per step of {BATCH} | {figures} |"
    yield from keras_row()


def keras_row(epochs: int = 5) -> Iterator[str]:
    """``fashion_bn`` in Keras, where there is one."""
    python = os.environ.get("KERAS_PYTHON")
    if not python:
        yield "| `fashion_bn` in Keras | | | no KERAS_PYTHON | | |"
        return
    config = settings("experiment=fashion_bn")
    turns = Epochs(Keras(python, config["data"]["root"]), epochs)
    fit(config, turns)  # type: ignore[arg-type]
    ours, theirs = map(median, zip(*turns.seconds[1:], strict=True))
    ratio = median(a / b for a, b in turns.seconds[1:])
    both = f"{ours:.2f} | {theirs:.2f} | **{ratio:.2f}** | {1 / ratio:.1f}"
    yield f"| `fashion_bn` in Keras, s per epoch, validation included | {both} | {goal(ratio, most=0.6)} |"
