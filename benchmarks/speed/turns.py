"""Two trainings that take turns in one process, so that a noisy machine is noisy for both."""

from __future__ import annotations

import os
import pty
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import torch
import torch.nn.functional as F
from lightning import Callback, Trainer
from torch import nn

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.config.run_directory import register_names
from gradvitals.app.run.assemble import Run, assemble
from gradvitals.app.run.environment import filter_warnings
from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.images import Images

WARM_UP = 4  # blocks that are not counted, of which the first holds the steps that are all measured


def settings(*typed: str) -> RunConfig:
    """What ``python src/train.py`` would run, without an end."""
    return compose_run_config([*typed, "trainer.max_epochs=100000"], Path(tempfile.mkdtemp()))


def stand_in_for_fashion() -> str:
    """The name of the data; random images of the same shape where Fashion-MNIST is not at hand."""
    try:
        splits = Images("FashionMNIST", settings("data=fashion_mnist")["data"]["root"], download=False).loaded
        name = "Fashion-MNIST"
    except FileNotFoundError:
        full = Split(torch.rand(60000, 1, 28, 28), torch.randint(0, 10, (60000,)))
        splits = Splits(full[5000:], full[:5000], full[:5000], "multiclass", 10)
        name = "random images in the shape of Fashion-MNIST"
    Images.load = lambda self: splits  # type: ignore[method-assign]
    Images.prepare_data = lambda self: None  # type: ignore[method-assign]
    return name


class HandWritten:
    """The loop that people write: tensors in memory, torch's own Adam, nothing else."""

    def __init__(self, run: Run, fused: bool = False) -> None:
        splits = run.data.loaded  # type: ignore[attr-defined]
        self.net, self.x, self.y, self.size = run.model.net, splits.train.x, splits.train.y, run.data.batch_size
        given = {
            key: value for key, value in run.model.hparams["optimizer"].items() if key not in ("_target_", "fused")
        }
        self.optimizer = torch.optim.Adam(self.net.parameters(), fused=fused or None, **given)
        self.batches: Iterator[torch.Tensor] = iter(())

    def steps(self, number: int) -> None:
        """So many steps, epoch after epoch."""
        self.net.train()
        for _ in range(number):
            rows = next(self.batches, None)
            if rows is None:
                self.batches = iter(torch.randperm(len(self.y)).split(self.size))
                rows = next(self.batches)
            self.optimizer.zero_grad()
            F.cross_entropy(self.net(self.x[rows]), self.y[rows]).backward()
            self.optimizer.step()


class Fastest(HandWritten):
    """The best loop that one can write by hand: a flat ``nn.Sequential`` of the same layers, and fused Adam."""

    def __init__(self, run: Run) -> None:
        leaves = [module for module in run.model.net.modules() if not list(module.children())]  # type: ignore[union-attr]
        run.model.net = nn.Sequential(nn.Flatten(), *(leaf for leaf in leaves if not isinstance(leaf, nn.Identity)))
        super().__init__(run, fused=True)


class Turns(Callback):
    """After each block of steps of a fit, lets others do as many; validation and what surrounds it is not timed.

    Args:
        others: what does as many steps, or returns the seconds that it says they took.
        block: steps in a turn; fifty hold one that is measured and five that are logged.
        blocks: turns that are counted.
    """

    def __init__(self, *others: Callable[[int], float | None], block: int = 50, blocks: int = 50) -> None:
        self.others, self.block, self.blocks = others, block, blocks
        self.seconds: list[list[float]] = []
        self._ran = self._began = 0.0
        self._steps = 0

    def on_train_epoch_start(self, *_: Any) -> None:
        self._began = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self._steps += 1
        if self._steps % self.block == 0:
            self._pause()
            self.seconds.append([self._ran, *(_timed(other, self.block) for other in self.others)])
            trainer.should_stop = len(self.seconds) >= self.blocks + WARM_UP
            self._ran, self._began = 0.0, time.perf_counter()

    def on_validation_start(self, *_: Any) -> None:
        self._pause()

    def on_train_epoch_end(self, *_: Any) -> None:
        self._pause()

    def _pause(self) -> None:
        self._ran += time.perf_counter() - self._began if self._began else 0.0
        self._began = 0.0

    @property
    def milliseconds(self) -> list[float]:
        """Per step, of the fit and of the others."""
        return [1e3 * median(column) / self.block for column in zip(*self.seconds[WARM_UP:], strict=True)]

    def ratio(self, other: int = 1) -> tuple[float, float, float]:
        """Of the fit to another, block by block: median and quartiles."""
        ratios = [row[0] / row[other] for row in self.seconds[WARM_UP:]]
        low, middle, high = quantiles(ratios, n=4)
        return middle, low, high


def _timed(other: Callable[[int], float | None], number: int) -> float:
    began = time.perf_counter()
    said = other(number)
    return said if said is not None else time.perf_counter() - began


def fit(config: dict[str, Any], turns: Turns) -> None:
    """The app's fit, as ``python src/train.py`` has it in a terminal."""
    run = assemble(config)
    run.trainer.callbacks.append(turns)  # type: ignore[attr-defined]
    with terminal():
        run.trainer.fit(run.model, datamodule=run.data)


@contextmanager
def terminal() -> Iterator[None]:
    """Make stdout a terminal whose text is thrown away, so that progress bars are drawn."""
    reader, writer = pty.openpty()
    threading.Thread(target=_drain, args=(reader,), daemon=True).start()
    before, sys.stdout = sys.stdout, os.fdopen(writer, "w")
    try:
        yield
    finally:
        sys.stdout = before


def _drain(reader: int) -> None:
    with suppress(OSError):  # which the end of a terminal is
        while os.read(reader, 65536):
            pass


def begin() -> None:
    """Of every benchmark in a process of its own."""
    filter_warnings()
    register_names()
