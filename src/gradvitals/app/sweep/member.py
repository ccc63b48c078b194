"""What a job does as one of a sweep: leave off after a failure, take a GPU of its own, end early without hope."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra.core.hydra_config import HydraConfig

from gradvitals.app.job import Sweep
from gradvitals.app.quiet import keep_to_itself
from gradvitals.app.sweep.gpus import own_gpu
from gradvitals.report.records import read_result

if TYPE_CHECKING:
    from gradvitals.app.sweep.pruning import Pruning


def settle_in() -> None:
    """Be as the process in which the sweep was typed: a cluster's worker was started elsewhere, by somebody else.

    Relative paths, such as ``data.root=data``, mean the folder of that process, and nothing phones home.
    """
    keep_to_itself()
    hydra = HydraConfig.get()
    if not hydra.job.chdir:
        os.chdir(hydra.runtime.cwd)


def has_failed(sweep_dir: Path) -> bool:
    """Whether a job of the sweep failed."""
    return any(read_result(folder).get("status") == "failed" for folder in sweep_dir.iterdir())


@contextmanager
def own_device(trainer: dict[str, Any]) -> Iterator[None]:
    """Give the job one of several GPUs to itself, where its config asks for one device."""
    import torch

    devices, any_strategy = trainer.get("devices"), trainer.get("strategy") == "auto"
    on_gpu = trainer.get("accelerator") in ("auto", "gpu", "cuda")
    asks_for_one = on_gpu and (devices == 1 or (devices == "auto" and any_strategy))
    with own_gpu(torch.cuda.device_count() if asks_for_one else 0) as index:
        if index is not None:
            trainer["devices"] = [index]
        yield


def pruning(sweep: Sweep, settings: dict[str, Any]) -> Pruning | None:
    """The callback that ends a search's trial early; None in a sweep that is no search."""
    if sweep.options.get("trial") is None:
        return None
    from gradvitals.app.sweep.pruning import Pruning
    from gradvitals.app.sweep.study import trial_in

    trial = trial_in(sweep.folder, sweep.options, sweep.options["trial"])
    return Pruning(trial, settings["objective"], settings["objective_mode"])
