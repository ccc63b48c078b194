"""Time per training step of the whole app beside a loop written by hand: ``make bench``.

Fashion-MNIST, three hidden layers of 100, BatchNorm, ELU, Adam, batch 128 (``experiment=fashion_3x100``). The app has
all that a default run has: monitor, TensorBoard, progress bar in a terminal, checkpoints. The loop has the same
tensors, network, optimizer and batches, and nothing else. Rounds alternate in one process; figures are medians of
rounds, and ratios are taken round by round. Without Fashion-MNIST at GRADVITALS_DATA, random images of the same shape
stand in: a step takes as long.
"""

from __future__ import annotations

import os
import platform
import pty
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gradvitals.app.assemble import assemble
from gradvitals.app.quiet import quiet
from gradvitals.data.images import Images
from gradvitals.data.tensors import Split, Splits

ROUNDS = 15
CONF = Path(__file__).parents[1] / "conf"


def settings(run_dir: str) -> dict[str, Any]:
    """The experiment's config for one epoch."""
    typed = ["experiment=fashion_3x100", f"paths.run={run_dir}", "trainer.max_epochs=1", "data.download=false"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("train", typed), resolve=True)  # type: ignore[return-value]


def stand_in() -> Splits:
    """Random images and labels in the shape of Fashion-MNIST."""
    full = Split(torch.rand(60000, 1, 28, 28), torch.randint(0, 10, (60000,)))
    return Splits(full[5000:], full[:5000], full[:5000], "multiclass", 10)


def load(config: dict[str, Any]) -> tuple[Splits, str]:
    """The splits, and the name of the data."""
    try:
        return Images("FashionMNIST", config["data"]["root"], download=False).loaded, "Fashion-MNIST"
    except FileNotFoundError:
        return stand_in(), "random images in the shape of Fashion-MNIST"


def app_step() -> float:
    """Seconds per step of one epoch in the app, validation and start-up left out."""
    with tempfile.TemporaryDirectory() as run_dir:
        run = assemble(settings(run_dir))
        run.trainer.fit(run.model, datamodule=run.data)
        return run.history.loop_seconds / run.trainer.global_step


def hand_step(splits: Splits, batch_size: int = 128) -> float:
    """Seconds per step of one epoch in the loop that people write by hand."""
    with tempfile.TemporaryDirectory() as run_dir:
        run = assemble(settings(run_dir))
    net, (x, y) = run.model.net, (splits.train.x, splits.train.y)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    net.train()
    began = time.perf_counter()
    batches = torch.randperm(len(y)).split(batch_size)
    for rows in batches:
        optimizer.zero_grad()
        F.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return (time.perf_counter() - began) / len(batches)


def terminal() -> None:
    """Make stdout a terminal whose text is thrown away, so that the progress bar is drawn."""
    reader, writer = pty.openpty()
    threading.Thread(target=lambda: [None for _ in iter(lambda: os.read(reader, 65536), b"")], daemon=True).start()
    sys.stdout = os.fdopen(writer, "w")


def main() -> None:
    """Print medians and the ratio of the app to the loop."""
    quiet()
    splits, name = load(settings(tempfile.gettempdir()))
    Images.load = lambda self: splits  # type: ignore[method-assign]
    Images.prepare_data = lambda self: None  # type: ignore[method-assign]
    report, _ = sys.stdout, terminal()
    app_step(), hand_step(splits)  # warm up
    rounds = [(app_step(), hand_step(splits)) for _ in range(ROUNDS)]
    app, hand = (statistics.median(column) * 1e3 for column in zip(*rounds, strict=True))
    ratios = sorted(a / h for a, h in rounds)
    print(f"{platform.machine()}, {os.cpu_count()} cores, torch {torch.__version__}; {name}", file=report)
    print(f"app {app:.3f} ms, loop {hand:.3f} ms per step of 128; medians of {ROUNDS} alternating epochs", file=report)
    print(f"ratio: median {statistics.median(ratios):.2f}, {ratios[0]:.2f} to {ratios[-1]:.2f}", file=report)


if __name__ == "__main__":
    main()
