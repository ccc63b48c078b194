"""What distinguishes a job of a sweep from a single run: its environment, GPU, pruning, and earlier attempts."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from gradvitals.app.config.error_messages import full_errors
from gradvitals.app.config.run_config import RunConfig
from gradvitals.app.run.environment import disable_telemetry
from gradvitals.app.run.job import Job, SweepContext, discard
from gradvitals.checkpoints.locate import newest
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.results.files import user_lock
from gradvitals.results.objective import UNKNOWN_WORST, Objective
from gradvitals.results.record import Record, read, without_run_keys
from gradvitals.results.result import Result
from gradvitals.results.status import Status

if TYPE_CHECKING:
    from gradvitals.app.sweep.pruning import Pruning


def run_in_sweep(
    job: Job, config: DictConfig, train: Callable[[Job, DictConfig, Record | None], float | None]
) -> float | None:
    """Trains one job of a sweep, unless it is finished or another one's failure ends the sweep.

    Returns:
        The value of the objective; a finite penalty where there is none, so that the sweeper can compare.
    """
    assert job.sweep is not None
    disable_telemetry()  # a cluster's worker was started elsewhere, and with another environment
    hydra = HydraConfig.get()
    if not hydra.job.chdir:
        os.chdir(hydra.runtime.cwd)  # to which paths such as data.root=data are relative
    if config.on_failure == "stop" and has_failed(job.sweep.folder):
        discard(job.run_dir)
        return _penalty(config)
    previous = previous_attempt(job.run_dir, job.overrides)
    if previous is not None and previous.status.is_over:  # the worker was lost between its result and its return
        value = previous.result.value_of(previous.objective) if previous.objective else None
        return _penalty(config) if value is None else value
    try:
        return train(job, config, previous)
    except Exception:  # its reason is in result.json, and the other jobs run
        if full_errors():
            traceback.print_exc()
        return _penalty(config)


def _penalty(config: DictConfig) -> float:
    objective = Objective.resolve((), str(config.objective), str(config.objective_mode))
    return objective.worst if objective else UNKNOWN_WORST


def has_failed(sweep_dir: Path) -> bool:
    """Returns whether a job of the sweep failed."""
    return any(Result.read(folder).status is Status.FAILED for folder in sweep_dir.iterdir())


def pruning(sweep: SweepContext, config: RunConfig) -> Pruning | None:
    """Returns the callback that ends a search's trial early; None in a sweep that is no search."""
    if sweep.options.get("trial") is None:
        return None
    from gradvitals.app.sweep.optuna_study import trial_in
    from gradvitals.app.sweep.pruning import Pruning

    trial = trial_in(sweep.folder, sweep.options, sweep.options["trial"])
    return Pruning(trial, config["objective"], config["objective_mode"])


def previous_attempt(run_dir: Path, overrides: Sequence[str]) -> Record | None:
    """Returns what an earlier start of this job wrote to its directory; None where this is the first one.

    Args:
        overrides: of the job; a result of others is another job's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> previous_attempt(folder, ["act=elu"]) is None
        True
        >>> _ = (folder / "result.json").write_text('{"status": "interrupted", "overrides": ["act=elu"]}')
        >>> previous_attempt(folder, ["act=elu"]).status.value, previous_attempt(folder, ["act=relu"])
        ('interrupted', None)
    """
    if ClusterEnvironment.at_work() and not int(os.environ.get("SLURM_RESTART_COUNT", 0)):
        return None  # files there may be another process's, of this very start
    if all(path.name == ".hydra" or path.suffix == ".log" for path in run_dir.iterdir()):  # Hydra's own, of this start
        return None
    found = read(run_dir)
    return found if found.status is Status.MISSING or found.overrides == without_run_keys(overrides) else None


def resume_from(config: RunConfig, attempt: Record) -> RunConfig:
    """Returns a job's config that resumes from its newest whole checkpoint, or begins anew where there is none.

    Either way what is logged again replaces what was logged before.
    """
    config |= {"resume": str(attempt.folder)}
    with suppress(ConfigError):  # all are damaged: it begins anew
        if checkpoint := newest(attempt.folder):
            config |= {"ckpt_path": str(checkpoint)}
    return config


@contextmanager
def reserve_gpu(config: RunConfig) -> Iterator[RunConfig]:
    """Reserves one of several GPUs for the job, where its config asks for one device, and yields the config with it."""
    import torch

    trainer = config["trainer"]
    devices, any_strategy = trainer.get("devices"), trainer.get("strategy") == "auto"
    on_gpu = trainer.get("accelerator") in ("auto", "gpu", "cuda")
    asks_for_one = on_gpu and (devices == 1 or (devices == "auto" and any_strategy))
    with own_gpu(torch.cuda.device_count() if asks_for_one else 0) as index:
        yield config if index is None else config | {"trainer": trainer | {"devices": [index]}}


@contextmanager
def own_gpu(count: int, folder: Path | None = None) -> Iterator[int | None]:
    """Locks the first GPU that no other sweep's job of this user has locked, until the block or the process ends.

    Args:
        count: of visible GPUs.
        folder: of the lock files; None: the machine's temporary one.

    Yields:
        Its index; None where all are locked, or there is only one.

    Example:
        >>> with own_gpu(1) as index:
        ...     print(index)
        None
    """
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    for index in range(count) if count > 1 else ():
        lock = user_lock(f"gpu_{visible[index] if index < len(visible) else index}", folder)
        with suppress(Timeout):
            lock.acquire(blocking=False)
        if lock.is_locked:
            try:
                yield index
            finally:
                lock.release()
            return
    yield None
