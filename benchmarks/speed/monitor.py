"""What the monitor costs, beside what people use instead.

Every figure is a ratio of medians of single steps that alternate within ONE run, which sees 1 % where whole runs
scatter by tens: a conductor among the Trainer's callbacks changes at each step what takes part. A network of 20 x 100
with BatchNorm at batch 128 on one thread, and recurrent layers of 128 units over 100 steps at batch 64, whose gradient
is measured at each time step. TensorBoard writes to a temporary directory.

- r1: a measured step over an idle one; r0: an idle step with the monitor over one without it.
- overhead at a cadence of n steps: r0 + (r1 - 1) / n.
"""

from __future__ import annotations

import logging
import math
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from statistics import median
from types import SimpleNamespace
from typing import Any

import torch
from lightning import Callback, Trainer, seed_everything
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities import grad_norm
from results_page import goal
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals
from gradvitals.classifier import Classifier
from gradvitals.monitor.session import Session

BATCH, WIDTH, FEATURES, CLASSES = 128, 100, 784, 10
CELLS = {"rnn": "tanh RNN", "gru": "GRU", "lstm": "LSTM"}
SEQUENCE, SEQUENCES = (100, 64), 64  # time steps and features of one, and how many make a batch
NEVER = 10**9
EXPLAINED = """r1: a measured step over an idle one. r0: an idle step with the monitor over one without.
Overhead at a cadence of n steps: r0 + (r1 - 1) / n.
"""


class Conductor(Callback):
    """Lets two states take turns, one step each, and times the steps."""

    def __init__(self, *states: Callable[[Trainer], None], warm_up: int = 40) -> None:
        self.states, self.warm_up = states, warm_up
        self.seconds: list[list[float]] = [[] for _ in states]
        self.step, self.began = 0, 0.0

    def on_train_start(self, trainer: Trainer, *_: Any) -> None:
        self.turn(trainer)

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        took = time.perf_counter() - self.began
        if self.step >= self.warm_up:
            self.seconds[self.step % len(self.states)].append(took)
        self.step += 1
        self.turn(trainer)

    def turn(self, trainer: Trainer) -> None:
        self.states[self.step % len(self.states)](trainer)
        self.began = time.perf_counter()

    @property
    def ratio(self) -> float:
        """Median of the second state over that of the first."""
        first, second = map(median, self.seconds[:2])
        return second / first


Network = tuple[Classifier, DataLoader[Any]]


def mlp(depth: int = 20, **options: Any) -> Network:
    """A chain of linear layers, and random rows."""
    spec = {"_target_": "gradvitals.nets.mlp.MLP", "depth": depth, "width": WIDTH, "norm": "batch", **options}
    return _with_data(spec, "relu", (FEATURES,), BATCH)


def recurrent(cell: str) -> Network:
    """A recurrent layer, and random sequences."""
    spec = {"_target_": "gradvitals.nets.recurrent.Recurrent", "cell": cell}
    return _with_data(spec, "tanh", SEQUENCE, SEQUENCES)


def _with_data(spec: dict[str, Any], act: str, in_shape: tuple[int, ...], batch_size: int) -> Network:
    """The network of a spec, and sixteen random batches for it."""
    adam = {"_target_": "torch.optim.Adam", "lr": 1e-3}
    model = Classifier(spec, math.prod(in_shape), CLASSES, act={"name": act}, in_shape=in_shape, optimizer=adam)
    x, y = torch.randn(batch_size * 16, *in_shape), torch.randint(CLASSES, (batch_size * 16,))
    return model, DataLoader(TensorDataset(x, y), batch_size)


def run(
    states: tuple[Callable[[Trainer], None], ...],
    steps: int,
    callbacks: list[Callback],
    network: Callable[[], Network] = mlp,
    warm_up: int = 40,
    folder: str | None = None,
) -> Conductor:
    """One fit in which states take turns; its event file goes into a folder."""
    seed_everything(0, verbose=False)
    model, loader = network()
    conductor = Conductor(*states, warm_up=warm_up)
    with tempfile.TemporaryDirectory() as temporary:
        trainer = Trainer(
            max_steps=steps,
            max_epochs=-1,
            accelerator="cpu",
            logger=TensorBoardLogger(folder or temporary, name="", version=""),
            callbacks=[*callbacks, conductor],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
        trainer.fit(model, loader)
    return conductor


def takes_part(callback: Callback, present: bool) -> Callable[[Trainer], None]:
    """A state of the Trainer: the callback is among its callbacks, or not."""

    def state(trainer: Trainer) -> None:
        others: list[Callback] = [c for c in trainer.callbacks if c is not callback]  # type: ignore[attr-defined]
        trainer.callbacks = [callback, *others] if present else others  # type: ignore[attr-defined]

    return state


def dead_units(session: Session) -> Any:
    """The collector of dead units."""
    return session._collectors.get("dead", SimpleNamespace())  # none without activations


def measures(monitor: GradientVitals, due: bool) -> Callable[[Trainer], None]:
    """A state of the monitor: the next step is measured, or not."""

    def state(trainer: Trainer) -> None:
        session = monitor.session
        assert session is not None
        for cadence in session._cadences:
            cadence.every_n_steps = 1 if due else NEVER
        session.unhook()
        dead_units(session)._rest = NEVER  # timed apart

    return state


def watches_dead_units(monitor: GradientVitals, watched: bool) -> Callable[[Trainer], None]:
    """A state of the monitor: dead units are looked for in the next batch, or not; nothing else is measured."""

    def state(trainer: Trainer) -> None:
        session = monitor.session
        assert session is not None
        measures(monitor, False)(trainer)
        dead = dead_units(session)
        dead.close()
        dead._rest = NEVER
        if watched:
            dead._rest = 0
            dead.measured_batch_begins(None)

    return state


def cost(steps: int, network: Callable[[], Network] = mlp, **settings: Any) -> tuple[float, float]:
    """r0 and r1 of the monitor."""
    quiet = {"first_steps": 0, "spike_steps": 0}
    idle = GradientVitals(NEVER, **settings, **quiet)
    r0 = run((takes_part(idle, False), takes_part(idle, True)), steps, [idle], network).ratio
    busy = GradientVitals(NEVER, **settings, **quiet)
    r1 = run((measures(busy, False), measures(busy, True)), steps, [busy], network).ratio
    return r0, r1


class LogDict(Callback):
    """Lightning's documented recipe."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        pl_module.log_dict(grad_norm(pl_module, norm_type=2))


class Items(Callback):
    """One number fetched and logged per parameter."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        norms = {f"grad/{n}": p.grad.norm().item() for n, p in pl_module.named_parameters() if p.grad is not None}
        trainer.logger.log_metrics(norms, trainer.global_step)


class Histograms(Callback):
    """A histogram of each parameter's gradient."""

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: Any, optimizer: Any) -> None:
        for name, p in pl_module.named_parameters():
            if p.grad is not None:
                trainer.logger.experiment.add_histogram(name, p.grad, trainer.global_step)


def rival(callback: Callback, steps: int) -> float:
    """A step with the callback over one without."""
    return run((takes_part(callback, False), takes_part(callback, True)), steps, [callback]).ratio


GRADIENTS = {"activations": False, "updates": False}
FULL = {"norm_layers": True, "clip_cosine": True}


def overheads(steps: int) -> Iterator[str]:
    """Rows of the table: what, r0, r1, overhead, goal."""
    nothing = LogDict()
    off = run((takes_part(nothing, False), takes_part(nothing, False)), steps, []).ratio
    yield f"| off against off | | | {off:.3f} | |"
    window = GradientVitals(NEVER, first_steps=0)
    dead = run((watches_dead_units(window, False), watches_dead_units(window, True)), steps, [window]).ratio
    yield f"| a batch in which dead units are observed: one in twenty, included below | | | {dead:.3f} | |"

    def row(
        name: str,
        every: int,
        bound: float,
        network: Callable[[], Network] = mlp,
        dead_share: float = 0.05,
        **settings: Any,
    ) -> str:
        r0, r1 = cost(steps, network, **settings)
        overhead = r0 + (r1 - 1) / every + dead_share * (dead - 1)
        return f"| {name} | {r0:.3f} | {r1:.3f} | {overhead:.3f} | {goal(overhead, most=bound)} |"

    yield row("default, every 50 steps", 50, 1.02)
    yield row("gradients only, every step", 1, 1.08, dead_share=0.0, **GRADIENTS)
    yield row("monitor=full, every 10 steps", 10, 1.04, **FULL)
    yield row("on_non_finite=skip, every 50 steps", 50, 1.05, on_non_finite="skip")
    for cell, name in CELLS.items():  # without modules that are activations
        yield row(f"{name}, every 50 steps", 50, 1.02, partial(recurrent, cell), dead_share=0.0)
    yield f"| Lightning's `log_dict(grad_norm(...))`, every step | | | {rival(LogDict(), steps):.3f} | |"
    yield f"| `grad.norm().item()` per parameter, every step | | | {rival(Items(), steps):.3f} | |"
    yield f"| `add_histogram` per parameter, every step | | | {rival(Histograms(), steps // 4):.3f} | |"


def lines(steps: int = 400) -> Iterator[str]:
    """The table."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    yield f"{steps} alternating steps of 20 x {WIDTH} with BatchNorm, batch {BATCH}, one thread. Recurrent layers:"
    yield f"128 units, {SEQUENCE[0]} time steps of {SEQUENCE[1]} features, batch {SEQUENCES}. {EXPLAINED}"
    yield "| what | r0 | r1 | overhead | goal |\n| --- | --- | --- | --- | --- |"
    yield from overheads(steps)
