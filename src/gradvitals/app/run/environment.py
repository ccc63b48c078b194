"""The environment of a run: seeds, threads, warnings, telemetry."""

from __future__ import annotations

import logging
import os
import secrets
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradvitals.app.run.job import SEED
from gradvitals.app.run.lazy_imports import import_lightning

if TYPE_CHECKING:
    from torch import nn

# Each with its reason.
UPSTREAM_WARNINGS = (
    # lightning 2.6.6 calls a check that torch 2.14 deprecates; ours to wait for.
    r".*isinstance\(treespec, LeafSpec\).*",
    # Data in memory is fetched fastest without workers (data.num_workers=0).
    r".*does not have many workers.*",
    # Small data sets have fewer batches than log_every_n_steps; an epoch then adds no point to train/loss.
    r".*smaller than the logging interval.*",
    # A resumed run continues in its own directory on purpose.
    r".*Checkpoint directory .* exists and is not empty.*",
    # A picture's font has no sign for what was typed.
    r".*Glyph .* missing from .*font.*",
    # ckpt_path=FILE of another run: this one keeps its own checkpoints.
    r".*The dirpath has changed from .*",
    # A fit that ends before its first validation has no best weights yet; a metric that is never logged is refused.
    r".*could not find the monitored key in the returned metrics.*",
    # The run directory is new; the CSV logger means the directory itself.
    r".*Experiment logs directory .* exists and is not empty.*",
    # trainer=cpu on a machine with a GPU is a choice.
    r".*GPU available but not used.*",
)
CHATTY = (
    "lightning.pytorch.utilities.rank_zero",
    "lightning.fabric.utilities.distributed",
    "lightning.fabric.utilities.seed",
    "lightning.pytorch.accelerators.cuda",
    "lightning.pytorch.trainer.connectors.signal_connector",
)

NO_TELEMETRY = {  # what optional packages ask of the environment, to keep what they see to themselves
    "DO_NOT_TRACK": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "RAY_USAGE_STATS_ENABLED": "0",
    "WANDB_ERROR_REPORTING": "false",
}

# Weights times samples in a batch. Below it a second thread gains at most 15 % of a step, and on a shared machine it
# now and then costs many times that; at 1e8 it gains a third, from 4e8 on nearly half (two cores, width 64 to 2048).
SMALL_STEP = 5e7


def disable_telemetry() -> None:
    """Nothing phones home, unless the user's own environment says so; call before anything else is imported."""
    for name, value in NO_TELEMETRY.items():
        os.environ.setdefault(name, value)


def filter_warnings() -> None:
    """Silence advertisements, hardware listings and the warnings above; call after Lightning was imported."""
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    for pattern in UPSTREAM_WARNINGS:
        warnings.filterwarnings("ignore", message=pattern)


def prepare(settings: dict[str, Any]) -> None:
    """Import what is heavy, silence what no user can act on, and seed every generator."""
    import_lightning()
    from lightning import seed_everything

    filter_warnings()
    if settings["seed"] is None:
        drawn = _drawn_before(settings.get("ckpt_path"))
        settings["seed"] = secrets.randbelow(2**32) if drawn is None else drawn
    seed_everything(settings["seed"], workers=True, verbose=False)


def _drawn_before(ckpt_path: str | None) -> int | None:
    """The seed that another process of a distributed run drew, or this run before it was resumed; None: none did."""
    if "LOCAL_RANK" in os.environ and (inherited := os.environ.get(SEED)):
        return int(inherited)
    if ckpt_path is None:
        return None
    from gradvitals.checkpoints.read import read_header
    from gradvitals.loops.resumable import seed_of

    return seed_of(read_header(Path(ckpt_path), "ckpt_path"))


def set_threads(threads: int | str, model: nn.Module, batch_size: int, processes: int = 1) -> None:
    """Set torch's intra-op threads; ``auto``: one for a small net, else a process's share of the cores."""
    if threads == "auto":
        weights_times_samples = batch_size * sum(p.numel() for p in model.parameters())
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS") or cores))  # a launcher's share
        threads = 1 if weights_times_samples < SMALL_STEP else max(1, cores // processes)
    import torch

    torch.set_num_threads(int(threads))
