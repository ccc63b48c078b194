"""A small fit on batches that are cut among processes, for scripts that run many of them in one pair of processes."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer, seed_everything
from lightning.pytorch.strategies import DDPStrategy, SingleDeviceStrategy
from torch import Tensor
from torch.utils.data import DataLoader

from gradvitals.callbacks.last_checkpoint import LastCheckpoint
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.classifier import Classifier
from gradvitals.distributed.fsdp_strategy import Sharded
from gradvitals.distributed.sharding import gathered
from gradvitals.distributed.sync_batch_norm import SyncAnywhere
from gradvitals.loggers.write_errors import WriteErrors
from gradvitals.loops.lean import lean

BATCH, FEATURES, CLASSES = 12, 6, 3
MLP = {"_target_": "gradvitals.nets.mlp.MLP", "hidden": [7, 7, 5]}  # no width that two processes halve
STRATEGIES = {
    "one": lambda: SingleDeviceStrategy("cpu"),
    "ddp": lambda: DDPStrategy(process_group_backend="gloo"),
    "fsdp": Sharded,
}


class Recorder(Classifier):
    """Keeps the gradients that the optimizer is given at each step."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.seen: list[dict[str, list]] = []

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        super().configure_gradient_clipping(*args, **kwargs)
        self.seen.append(lists({name: p.grad for name, p in self.net.named_parameters() if p.grad is not None}))


def batches(steps: int, batch: int = BATCH) -> list[tuple[Tensor, Tensor]]:
    """The global batches."""
    draw = torch.Generator().manual_seed(1)
    x = 2 * torch.randn(steps, batch, FEATURES, generator=draw)
    return list(zip(x, torch.randint(CLASSES, (steps, batch), generator=draw), strict=True))


def model(net: dict[str, Any] | None = None, seed: int = 0, **settings: Any) -> Recorder:
    seed_everything(seed, verbose=False)
    settings = {"optimizer": {"_target_": "torch.optim.SGD", "lr": 0.5}} | settings
    return Recorder(model=MLP | (net or {}), in_features=FEATURES, num_classes=CLASSES, **settings)


def trainer(strategy: str, steps: int, sync: bool = False, saves: Path | None = None, **arguments: Any) -> Trainer:
    """A Trainer as the app makes it, which saves in a folder at the end of a fit."""
    devices = 1 if strategy == "one" else 2
    return lean(
        Trainer(
            accelerator="cpu",
            devices=devices,
            strategy=STRATEGIES[strategy](),
            max_steps=steps,
            plugins=[AtomicCheckpointIO(WriteErrors("stop")), *([SyncAnywhere()] if sync else [])],
            callbacks=[LastCheckpoint(saves, keep=1)] if saves else [],
            logger=False,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            **arguments,
        )
    )


def fit(module: Recorder, trainer: Trainer, count: int, ckpt_path: Path | None = None, batch: int = BATCH) -> None:
    """Train on ``count`` global batches, of which each process has every second sample."""
    size = trainer.world_size
    mine = [(x[trainer.global_rank :: size], y[trainer.global_rank :: size]) for x, y in batches(count, batch)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, DataLoader(mine, batch_size=None), ckpt_path=ckpt_path, weights_only=True)


def lists(tensors: dict[str, Tensor]) -> dict[str, list]:
    """Whole tensors as lists, for JSON. Every process must ask."""
    return {name: gathered(value.detach()).double().tolist() for name, value in tensors.items()}
