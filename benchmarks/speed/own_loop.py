"""What watching a training loop of one's own costs: ``gradvitals.watch``, ``wandb.watch``, and norms fetched by hand.

All contestants train at the same time, each a model and an optimizer of its own from the same seed on the same batches,
and take turns of a few steps in one process on one thread. Each trains run after run, as a user does: so the first
steps, which the default cadence measures all, are in each run, and so are ``watch`` itself and ``close``.
"""

from __future__ import annotations

import gc
import logging
import os
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from statistics import median, quantiles
from typing import NamedTuple

import torch
import torch.nn.functional as F
from results_page import goal
from torch import Tensor, nn

import gradvitals

TURN, BLOCK, RUN = 25, 200, 1000  # steps: two hundred hold one look for dead units and four measured steps
EVERY, CLASSES, SAMPLES = 50, 10, 8192
BARE = "nothing"
WALL, CPU = 0, 1
EXPLAINED = f"""A step: blocks of {BLOCK} steps over those of the bare loop, without the first of each run; medians,
with quartiles in parentheses. A run: its first ten steps, which `watch` measures all by default, and `watch` and
`close` included. CPU: seconds of all threads of this process, which other load disturbs less.
"""


class Watched(NamedTuple):
    """What a contestant adds to a loop."""

    after_backward: Callable[[int], None]
    after_step: Callable[[int, Tensor], None]
    end: Callable[[], None]


Watch = Callable[[nn.Module, torch.optim.Optimizer], Watched]


def nothing(*_: object) -> None:
    """Is what a loop does that nobody watches."""


def bare(model: nn.Module, optimizer: torch.optim.Optimizer) -> Watched:
    """The loop alone."""
    return Watched(nothing, nothing, nothing)


def vitals(model: nn.Module, optimizer: torch.optim.Optimizer, every: int) -> Watched:
    """``gradvitals.watch`` as its documentation shows it."""
    folder = tempfile.TemporaryDirectory()
    seen = gradvitals.watch(model, optimizer, total_steps=RUN, log_dir=folder.name, every_n_steps=every)

    def end() -> None:
        seen.close()
        folder.cleanup()

    return Watched(nothing, lambda step, loss: seen.log(loss), end)


def wandb_watch(model: nn.Module, optimizer: torch.optim.Optimizer) -> Watched:
    """``wandb.watch``, whose histograms are sent with the next ``wandb.log``."""
    import wandb

    wandb.watch(model, log="gradients", log_freq=EVERY)

    def log(step: int, loss: Tensor) -> None:
        if step % EVERY == 0:
            wandb.log({"loss": loss.item()})

    return Watched(nothing, log, lambda: wandb.unwatch(model))


def items(model: nn.Module, optimizer: torch.optim.Optimizer, every: int) -> Watched:
    """The norm of each parameter's gradient, fetched one by one and kept nowhere."""

    def fetch(step: int) -> None:
        if step % every == 0:
            _ = {name: p.grad.norm().item() for name, p in model.named_parameters() if p.grad is not None}

    return Watched(fetch, nothing, nothing)


CONTESTANTS: dict[str, Watch] = {
    BARE: bare,
    "`gradvitals.watch`, every 50 steps (default)": partial(vitals, every=EVERY),
    "`gradvitals.watch`, every 10 steps": partial(vitals, every=10),
    "`gradvitals.watch`, every step": partial(vitals, every=1),
    '`wandb.watch(log="gradients", log_freq=50)`': wandb_watch,
    "`grad.norm().item()` per parameter, every 50 steps": partial(items, every=EVERY),
    "`grad.norm().item()` per parameter, every step": partial(items, every=1),
}
GOALS = {"`gradvitals.watch`, every 50 steps (default)": 1.02}


@dataclass
class Loop:
    """A training that resumes at its next step, and is built again after each run.

    Attributes:
        blocks: wall and CPU seconds of each block.
        around: wall and CPU seconds that the watch of each run took to begin and to end.
    """

    make: Callable[[], nn.Module]
    watch: Watch
    x: Tensor
    y: Tensor
    batch: int
    blocks: list[list[float]] = field(default_factory=list)
    around: list[list[float]] = field(default_factory=list)
    step: int = 0

    def turn(self, number: int = TURN) -> None:
        """Trains for some steps, and adds their time to that of the block."""
        if self.step % RUN == 0:
            self._begin()
        if self.step % BLOCK == 0:
            self.blocks.append([0.0, 0.0])
        _clock(self.blocks[-1], partial(self._steps, number))
        if self.step % RUN == 0:
            self.end()

    def _begin(self) -> None:
        torch.manual_seed(0)
        self.model = self.make()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.around.append([0.0, 0.0])
        _clock(self.around[-1], self._watch)

    def _watch(self) -> None:
        self.watched = self.watch(self.model, self.optimizer)

    def end(self) -> None:
        """Ends the watch of a run."""
        _clock(self.around[-1], self.watched.end)

    def _steps(self, number: int) -> None:
        after_backward, after_step, _ = self.watched
        for _ in range(number):
            first = self.step * self.batch % len(self.y)
            rows = slice(first, first + self.batch)
            self.optimizer.zero_grad()
            loss = F.cross_entropy(self.model(self.x[rows]), self.y[rows])
            loss.backward()
            after_backward(self.step % RUN)
            self.optimizer.step()
            after_step(self.step % RUN, loss)
            self.step += 1

    def runs(self, clock: int) -> list[float]:
        """Seconds of each run, all included."""
        size = RUN // BLOCK
        return [
            around[clock] + sum(block[clock] for block in self.blocks[run * size : (run + 1) * size])
            for run, around in enumerate(self.around)
        ]

    def later_blocks(self, clock: int) -> list[float]:
        """Seconds of each block but the first of each run, which holds the steps that are all measured."""
        return [block[clock] for number, block in enumerate(self.blocks) if number % (RUN // BLOCK)]


def _clock(seconds: list[float], function: Callable[[], None]) -> None:
    wall, cpu = time.perf_counter(), time.process_time()
    function()
    seconds[WALL] += time.perf_counter() - wall
    seconds[CPU] += time.process_time() - cpu


def train_in_turns(loops: Sequence[Loop], runs: int) -> None:
    """Lets each have its turn until all have trained some runs; another one begins each time."""
    for turn in range(runs * RUN // TURN):
        first = turn % len(loops)
        for loop in [*loops[first:], *loops[:first]]:
            loop.turn()


def ratios(loop: Loop, other: Loop, clock: int) -> list[float]:
    """Of a loop to another, block by block, without the first block of each run."""
    return [a / b for a, b in zip(loop.later_blocks(clock), other.later_blocks(clock), strict=True)]


def whole(loop: Loop, other: Loop, clock: int) -> float:
    """Of whole runs: the median of their ratios."""
    return median(a / b for a, b in zip(loop.runs(clock), other.runs(clock), strict=True))


def mlp() -> nn.Module:
    """Three hidden layers of 100 with BatchNorm."""
    widths = [784, 100, 100, 100]
    hidden = [
        layer for i in range(3) for layer in (nn.Linear(widths[i], widths[i + 1]), nn.BatchNorm1d(100), nn.ReLU())
    ]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(100, CLASSES))


class Rows(nn.Module):
    """A transformer of two blocks, whose tokens are the 28 rows of an image."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.embed, self.head = nn.Linear(28, width), nn.Linear(width, CLASSES)
        block = nn.TransformerEncoderLayer(width, 4, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(x.squeeze(1))).mean(1))


MODELS: dict[str, tuple[Callable[[], nn.Module], int, int]] = {  # how it is made, its batch, its runs
    "MLP 3 x 100 with BatchNorm, batch 128": (mlp, 128, 5),
    "transformer of 2 blocks of width 32, 28 tokens, batch 8": (Rows, 8, 2),
}


def images() -> tuple[Tensor, Tensor]:
    """Images in the shape of Fashion-MNIST: ten patterns under noise, one label in ten at random."""
    generator = torch.Generator().manual_seed(0)
    y = torch.randint(CLASSES, (SAMPLES,), generator=generator)
    patterns = torch.rand(CLASSES, 1, 28, 28, generator=generator)
    x = (patterns[y] + torch.randn(SAMPLES, 1, 28, 28, generator=generator)) / 2
    y[::10] = torch.randint(CLASSES, (len(y[::10]),), generator=generator)
    return x, y


def measured(make: Callable[[], nn.Module], batch: int, runs: int) -> dict[str, Loop]:
    """The contestants after their runs."""
    x, y = images()
    chosen = {name: watch for name, watch in CONTESTANTS.items() if watch is not wandb_watch or find_spec("wandb")}
    for watch in chosen.values():  # what is imported and allocated at first is not counted
        warm = Loop(make, watch, x, y, batch)
        warm.turn(EVERY + 1)
        warm.end()
    gc.collect()  # what the imports left behind takes half a second, once in a process, in whoever's turn it falls
    loops = {name: Loop(make, watch, x, y, batch) for name, watch in chosen.items()}
    train_in_turns(list(loops.values()), runs)
    return loops


def rows(loops: dict[str, Loop]) -> Iterator[str]:
    """Of the table: each contestant beside the bare loop."""
    alone = loops[BARE]
    for name, loop in loops.items():
        per_step = 1e3 * median(loop.later_blocks(WALL)) / BLOCK
        if loop is alone:
            yield f"| {name} | {per_step:.2f} | | | | | |"
            continue
        low, middle, high = quantiles(ratios(loop, alone, WALL), n=4)
        cpu, run, run_cpu = median(ratios(loop, alone, CPU)), whole(loop, alone, WALL), whole(loop, alone, CPU)
        block = f"**{middle:.3f}** ({low:.3f} to {high:.3f}) | {cpu:.3f}"
        to_reach = goal(middle, most=GOALS[name]) if name in GOALS else ""
        yield f"| {name} | {per_step:.2f} | {block} | {run:.3f} | {run_cpu:.3f} | {to_reach} |"


def begin_wandb(folder: str) -> None:
    """A run that sends nothing and prints nothing; without the package, it takes no part."""
    if find_spec("wandb"):
        os.environ |= {"WANDB_MODE": "offline", "WANDB_SILENT": "true"}
        import wandb

        wandb.init(project="speed", dir=folder)


def lines(runs: int | None = None) -> Iterator[str]:
    """The tables.

    Args:
        runs: of each contestant; None: as many as make a table in about two minutes.
    """
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("gradvitals").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        begin_wandb(folder)
        for name, (make, batch, usual) in MODELS.items():
            number = runs or usual
            yield f"{name}; torch's default Adam, one thread; {number} runs of {RUN} steps each, in turns of {TURN}."
            yield EXPLAINED
            yield "| what watches | ms per step | a step | CPU | a run | CPU | goal |"
            yield "| --- | --- | --- | --- | --- | --- | --- |"
            yield from rows(measured(make, batch, number))
            yield ""
        if find_spec("wandb"):
            import wandb

            wandb.finish()
