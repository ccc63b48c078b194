"""The intra-op threads of a run."""

from __future__ import annotations

import os

import torch
from torch import nn

from gradvitals.app.config.run_config import RunConfig

# Weights times samples in a batch. Below it a second thread saves at most 15 % of a step, and on a shared machine it
# sometimes costs many times that; at 1e8 it saves a third, from 4e8 on nearly half (two cores, width 64 to 2048).
SMALL_STEP = 5e7


def set_threads(config: RunConfig, model: nn.Module) -> None:
    """Sets torch's intra-op threads; ``auto``: one for a small net, else a process's share of the cores."""
    threads = config["threads"]
    if threads == "auto":
        weights_times_samples = config["data"].get("batch_size", 1) * sum(p.numel() for p in model.parameters())
        devices = config["trainer"].get("devices")
        processes = devices if isinstance(devices, int) else 1
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS") or cores))  # a launcher's share
        threads = 1 if weights_times_samples < SMALL_STEP else max(1, cores // processes)
    torch.set_num_threads(int(threads))
