"""What the monitor costs on many devices: ``python benchmarks/scale.py``, five minutes, nothing else running.

Measured here in two processes (gloo): the numbers that the monitor sends, the gradient that training sends, and how
long a step takes without a measurement and with one. Calculated from these for 8, 64 and 1,024 GPUs; the constants of
their network are stated below. The tables are those of docs/guides/many_devices.md.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
import warnings
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist
from lightning import Callback
from torch import Tensor

from gradvitals.app.config.compose import compose_run_config
from gradvitals.app.run.assemble import assemble
from gradvitals.app.run.environment import prepare
from gradvitals.distributed.collectives import Collectives

NETS = {"3 x 128": (3, 128), "20 x 128": (20, 128), "8 x 1024": (8, 1024)}
MODELS = ("plain", "bn")
ROUNDS, STEPS, SKIPPED = 3, 40, 8
OFTEN = "monitor.every_n_steps=1"

# Of GPUs, as their vendors and NCCL's own tests state them.
INSIDE, BETWEEN = (
    450e9,
    50e9,
)  # bytes per second and direction of a GPU: NVLink 4 in a machine of eight, 400 Gb/s outside
START, HOP = 15e-6, 5e-6  # seconds that a small all-reduce takes to begin, and per hop of its tree, up and down
GPUS = (8, 64, 1024)
PLANNED = {"8 x 1024, as above": None, "7e9 weights, 225 layers": (7e9, 225), "7e10 weights, 560 layers": (7e10, 560)}
PER_LAYER, BESIDE = 7, 30  # numbers that the monitor sends: of each layer, and of what is no layer's (labels, losses)
EVERY = 50  # steps between measurements, by default


class Clock(Callback):
    """Seconds of each step."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self._latest = 0.0

    def on_train_batch_end(self, *_: Any) -> None:
        now = time.perf_counter()
        self.steps.append(now - self._latest)
        self._latest = now


def fit(words: str, folder: Path) -> tuple[float, int]:
    """Seconds of a step, and bytes of the gradient."""
    run, clock = assemble(prepare(compose_run_config(words.split(), folder))), Clock()
    run.trainer.callbacks.append(clock)  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run.trainer.fit(run.model, datamodule=run.data)
    return median(clock.steps[SKIPPED:]), sum(p.numel() * 4 for p in run.model.parameters())


def compare(words: str, folder: Path) -> tuple[float, float, int, int]:
    """Seconds of a step without and with a measurement, bytes of the gradient, bytes that the monitor sent at most."""
    sent, add, seconds, size = [0], Collectives.add, {"monitor=off": [0.0] * 0, OFTEN: []}, 0

    def noted(processes: Collectives, sums: Tensor) -> Tensor:
        sent.append(sums.nbytes)
        return add(processes, sums)

    with patch.object(Collectives, "add", noted):
        for _ in range(ROUNDS):
            for monitor, found in seconds.items():
                once, size = fit(f"{words} {monitor}", folder)
                found.append(once)
    sent.sort()  # a window of dead units sends a number for each unit, once in twenty windows
    return median(seconds["monitor=off"]), median(seconds[OFTEN]), size, sent[len(sent) // 2]


def all_reduce(numbers: int, repeats: int = 50) -> float:
    """Seconds of one, of float64."""
    values, found = torch.ones(numbers, dtype=torch.float64), []
    for _ in range(repeats):
        dist.barrier()
        began = time.perf_counter()
        dist.all_reduce(values)
        found.append(time.perf_counter() - began)
    return median(found)


def measure() -> None:
    """In each of the processes; the first one tells."""
    torch.set_num_threads(1)
    always = f"trainer=ddp_cpu logger=none callbacks=none trainer.max_steps={STEPS} trainer.max_epochs=-1"
    always += " trainer.limit_val_batches=0 data.batch_size=64 optimizer=sgd optimizer.lr=0.01"
    rows = []
    with TemporaryDirectory() as folder:
        for name, (depth, width) in NETS.items():
            for model in MODELS:
                words = f"{always} model={model} model.depth={depth} model.width={width}"
                without, with_it, gradient, sent = compare(words, Path(folder))
                rows.append((f"{model} {name}", without, with_it, gradient, sent))
        small, large = all_reduce(64), all_reduce(65_536)
    if dist.get_rank() == 0:
        tell(rows, small, large)


def tell(rows: list[tuple[str, float, float, int, int]], small: float, large: float) -> None:
    """The tables of docs/guides/many_devices.md."""
    print("| net | gradient, bytes | monitor, bytes | step, ms | measured step, ms | one in 50 |")
    print("|---|---|---|---|---|---|")
    for name, without, with_it, gradient, sent in rows:
        share = 1 + (with_it / without - 1) / EVERY
        numbers = f"{1e3 * without:.2f} | {1e3 * with_it:.2f} | {share:.3f}"
        print(f"| {name} | {gradient:,} | {sent:,} | {numbers} |")
    print(
        f"\nAn all-reduce of 64 numbers: {1e3 * small:.2f} ms, of 65,536: {1e3 * large:.2f} ms (gloo, median of 50).\n"
    )
    print("| net | GPUs | gradient, ms | monitor's call, ms | its bytes over the gradient's | mean per step, ms |")
    print("|---|---|---|---|---|---|")
    for name, size in PLANNED.items():
        weights, layers = size or (rows[-2][3] / 4, NETS["8 x 1024"][0] + 1)
        for gpus in GPUS:
            print(f"| {name} | {gpus:,} | {calculated(weights, layers, gpus)} |")


def calculated(weights: float, layers: int, gpus: int) -> str:
    """Of gradients in bfloat16, sent around a ring; and of the monitor's numbers, sent along a tree."""
    speed = INSIDE if gpus <= 8 else BETWEEN
    gradient = 2 * (gpus - 1) / gpus * weights * 2 / speed
    sent = 8 * (PER_LAYER * layers + BESIDE)
    call = START + 2 * math.ceil(math.log2(gpus)) * HOP + 2 * sent / speed
    digits = 0 if gradient > 0.1 else 3
    return f"{1e3 * gradient:,.{digits}f} | {1e3 * call:.3f} | {sent / (2 * weights):.1e} | {1e3 * call / EVERY:.5f}"


if __name__ == "__main__":
    if "TORCHELASTIC_RUN_ID" in os.environ:
        measure()
    else:
        launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", __file__]
        raise SystemExit(subprocess.run(launch, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False).returncode)
