"""Runs the jobs of a sweep in processes that are forked from this one, which has imported what a job needs.

A worker that is started anew imports torch and Lightning for seconds; a forked one begins in milliseconds. It runs one
job after the other, because the first job of a process takes .15 s more than the next ones. This process computes
nothing with torch, whose threads would be missing in the workers, and has no thread that could hold a lock.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from gradvitals.app.config.error_messages import explain
from gradvitals.app.processes.signals import Signals
from gradvitals.app.run.lazy_imports import BESIDE_DATA, defer_imports, import_lightning
from gradvitals.app.sweep.forked_worker import ForkedWorker
from gradvitals.errors import INTERRUPTED, ConfigError, LostProcess

LOOK = 0.25  # seconds between two looks at the workers, signals and the progress
IMPORTED = ("gradvitals.app.commands.stages", "gradvitals.app.run.run_summary")
BY_TENSORBOARD = ("torch.utils.tensorboard", "tensorboard.plugins.hparams.plugin_data_pb2", "google_crc32c")
Job = tuple[int, list[str]]  # number and overrides


class ForkLauncher:
    """Runs as many jobs at a time as it has workers; what ``hydra_plugins.gradvitals_launchers.Fork`` calls.

    Args:
        n_jobs: number of workers; ``auto``: the number of CPUs.
    """

    def __init__(self, n_jobs: int | str = "auto") -> None:
        self._wanted = n_jobs

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Refuses systems whose libraries are not prepared for a fork."""
        if not hasattr(os, "fork") or sys.platform == "darwin":
            raise ConfigError(f"hydra/launcher=fork: expected Linux; got {sys.platform}. Set hydra/launcher=joblib")
        if self._wanted != "auto" and not (isinstance(self._wanted, int) and self._wanted > 0):
            raise ConfigError(f"hydra.launcher.n_jobs: expected an integer of 1 or more, or auto; got {self._wanted}")
        self._context, self._function, self._config = hydra_context, task_function, config

    def launch(
        self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int, meanwhile: Callable[[], None]
    ) -> Sequence[JobReturn]:
        """Runs jobs, and returns what each came to, in their order; one whose worker has died has failed.

        Args:
            job_overrides: of each job.
            initial_job_idx: number of the first one.
            meanwhile: called again and again while they run.

        Raises:
            ConfigError: a job that cannot be composed or begun, or that is not for one process on a CPU.
            SystemExit: Ctrl-C or SIGTERM, on which each running job saves a checkpoint.
        """
        from joblib import cpu_count

        setup_globals()
        self._configure_log()
        cpus, jobs = cpu_count(), list(enumerate(map(list, job_overrides), initial_job_idx))
        number = min(cpus if self._wanted == "auto" else int(self._wanted), len(jobs))
        self._threads = max(1, cpus // max(number, 1))
        _import_what_jobs_need(self._config)
        gc.freeze()  # a collection in a worker would copy all pages that it shares
        returns = self._run(jobs, number, meanwhile)
        return [returns[number] for number, _ in jobs]

    def _run(self, jobs: Sequence[Job], number: int, meanwhile: Callable[[], None]) -> dict[int, JobReturn]:
        left, returns, workers = deque(jobs), dict[int, JobReturn](), list[ForkedWorker]()
        with Signals() as signals:
            signals.waits = True  # a second one ends this at once
            try:
                while not signals.code and (left or _busy(workers)):
                    while left and len(workers) < number:
                        workers.append(ForkedWorker(self._work))
                        workers[-1].give(left.popleft())
                    _wait(workers, meanwhile)
                    for worker in [worker for worker in _busy(workers) if worker.has_ended]:
                        job = worker.task
                        try:
                            returns[job[0]] = worker.answer()
                            worker.give(left.popleft() if left else None)
                        except EOFError as error:
                            returns[job[0]] = self._lost(job, str(error))
                            workers.remove(worker)
                for worker in workers if signals.code else ():
                    worker.signal(signal.SIGINT if signals.code == INTERRUPTED else signal.SIGTERM)
                while signals.code and any(not worker.has_ended for worker in _busy(workers)):
                    _wait(workers, meanwhile)
            finally:
                for worker in workers:
                    worker.end()
        if signals.code:
            raise SystemExit(signals.code)
        return returns

    def _work(self, job: Job) -> JobReturn | ConfigError:
        """One job, in a worker."""
        import torch

        share = min(self._threads, int(os.environ.setdefault("OMP_NUM_THREADS", str(self._threads))))
        torch.set_num_threads(share)
        try:
            config = self._composed(job)
            refuse_unless_on_cpu(config.trainer)
            done = run_job(self._function, config, "hydra.sweep.dir", "hydra.sweep.subdir", self._context)
        except Exception as error:  # of Hydra; one of the job itself is part of what it came to
            return ConfigError(explain(error))
        self._configure_log()  # closes the job's log file: what follows is of the next one
        return done

    def _composed(self, job: Job) -> DictConfig:
        number, overrides = job
        config: DictConfig = self._context.config_loader.load_sweep_config(self._config, overrides)
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def _lost(self, job: Job, how: str) -> JobReturn:
        """What a job came to whose worker has died; it is resumed as after a kill of a sweep in one process."""
        print(f"gradvitals: job {job[0]} ({' '.join(filter_overrides(job[1]))}) {how}", file=sys.stderr, flush=True)
        config, before = self._composed(job), HydraConfig.instance().cfg
        HydraConfig.instance().set_config(config)
        place = Path(str(OmegaConf.select(config, "hydra.sweep.dir"))) / str(config.hydra.sweep.subdir)
        HydraConfig.instance().cfg = before
        with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
            config.hydra.runtime.output_dir = str(place.absolute())
        return JobReturn(job[1], hydra_cfg=config, status=JobStatus.FAILED, _return_value=LostProcess(how))

    def _configure_log(self) -> None:
        configure_log(self._config.hydra.hydra_logging, self._config.hydra.verbose)


def _wait(workers: Sequence[ForkedWorker], meanwhile: Callable[[], None]) -> None:
    wait([worker.connection for worker in _busy(workers)], LOOK)
    meanwhile()


def _busy(workers: Sequence[ForkedWorker]) -> list[ForkedWorker]:
    return [worker for worker in workers if worker.task is not None]


def refuse_unless_on_cpu(trainer: Mapping[str, Any]) -> None:
    """Refuses a job for a GPU or for several processes.

    Raises:
        ConfigError: it names the key.

    Example:
        >>> refuse_unless_on_cpu({"accelerator": "cpu", "devices": 1, "strategy": "auto"})
        >>> refuse_unless_on_cpu({"accelerator": "cpu", "devices": 2})
        Traceback (most recent call last):
        ...
        gradvitals.errors.ConfigError: hydra/launcher=fork runs each job in one process on a CPU; got trainer.devices=2. Set trainer=cpu, or hydra/launcher=joblib
    """  # noqa: E501
    import torch

    on_cpu = ("cpu",) if torch.cuda.is_available() else ("cpu", "auto", None)
    known = {"accelerator": on_cpu, "devices": (1, "auto", None), "num_nodes": (1, None), "strategy": ("auto", None)}
    for key, accepted in known.items():
        if (value := trainer.get(key)) not in accepted:
            got = f"trainer.{key}={value}" + (" on a machine with a GPU" if value == "auto" else "")
            raise ConfigError(
                f"hydra/launcher=fork runs each job in one process on a CPU; got {got}. Set trainer=cpu, or "
                "hydra/launcher=joblib"
            )


def _import_what_jobs_need(config: DictConfig) -> None:
    import_lightning()
    data, _, _ = str(OmegaConf.select(config, "data._target_")).rpartition(".")
    ours = [data] if data.startswith("gradvitals.") else []
    with defer_imports(BESIDE_DATA):
        for name in (*IMPORTED, *ours, *(BY_TENSORBOARD if "tensorboard" in (config.get("logger") or ()) else ())):
            import_module(name)
