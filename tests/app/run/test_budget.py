"""What fifty steps of the default command do, counted: a guard of speed without a clock.

Fifty steps hold one that is measured, five that are logged and one end of an epoch. Whoever needs more writes the new count
into ``tests/reference/budget.json`` and says why.
"""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from unittest.mock import patch

from lightning import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.tensorboard import FileWriter

from gradvitals.app.run.assemble import assemble
from gradvitals.loops import lean
from tests.conftest import ROOT, composed

BUDGET = json.loads((Path(__file__).parents[2] / "reference/budget.json").read_text())["fifty_steps"]
BEGIN, STEPS = 60, 50


class Operators(TorchDispatchMode):
    """Counts operator calls, those that allocate, and those that wait for the device."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.counts["operator_calls"] += 1
        self.counts["allocations"] += any(returned.alias_info is None for returned in func._schema.returns)
        self.counts["host_syncs"] += "_local_scalar_dense" in str(func)
        return func(*args, **(kwargs or {}))


class Window(Callback):
    """Does something when the fifty steps begin, and something else when they have ended."""

    def __init__(self, begin, end):
        self.begin, self.end = begin, end

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == BEGIN:
            self.begin()
        elif trainer.global_step == BEGIN + STEPS:
            self.end()


def run_with(window: Window, tmp_path) -> None:
    # On a slow machine a checkpoint, after five seconds, and files of loggers, after one, would be among them.
    words = ("trainer.max_epochs=3", "trainer.check_val_every_n_epoch=100", "callbacks.last.min_seconds=1000")
    run = assemble(composed(*words, run_dir=str(tmp_path)))
    run.trainer.callbacks.append(window)
    with patch.object(lean, "WRITE_EVERY", 1000.0):
        run.trainer.fit(run.model, datamodule=run.data)
    assert run.trainer.global_step >= BEGIN + STEPS


def test_operators_allocations_and_waits(tmp_path):
    mode = Operators()
    run_with(Window(mode.__enter__, lambda: mode.__exit__(None, None, None)), tmp_path)
    operators = mode.counts
    assert set(operators) == {"operator_calls", "allocations", "host_syncs"}
    assert all(operators[name] <= BUDGET[name] for name in operators), operators


def test_calls_of_the_logger(tmp_path, monkeypatch):
    counts, counting = Counter(), []

    def counted(kind, name):
        original = getattr(kind, name)

        def call(*args, **kwargs):
            counts[name] += bool(counting)
            return original(*args, **kwargs)

        monkeypatch.setattr(kind, name, call)

    counted(TensorBoardLogger, "log_metrics")
    counted(FileWriter, "add_event")
    run_with(Window(lambda: counting.append(True), counting.clear), tmp_path)
    assert set(counts) == {"log_metrics", "add_event"}
    assert all(counts[name] <= BUDGET[name] for name in counts), counts


def python_calls(folder: Path) -> int:
    """Fits and returns how many Python functions fifty steps call."""
    counts = Counter()

    def count(frame, event, arg):
        counts[event] += 1

    run_with(Window(lambda: sys.setprofile(count), lambda: sys.setprofile(None)), folder)
    return counts["call"]


def test_calls_of_python_functions(tmp_path):
    # In a process of its own: once somebody has imported torch's compiler, each step of an optimizer asks for it.
    code = f"from pathlib import Path; from tests.app.run.test_budget import *; print(python_calls(Path({str(tmp_path)!r})))"
    call = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    assert int(done.stdout.split()[-1]) <= BUDGET["python_calls"]
