"""The other processes of a job that Lightning starts: they get the job's own command line, and end with the job.

By itself Lightning starts them with the command line of this process. In a sweep that is the whole sweep's, and each
process would train another job. And where one dies, Lightning kills this one without a message, although jobs of the
sweep may be left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from unittest.mock import patch

from hydra.core.hydra_config import HydraConfig

from gradvitals.app.config.overrides import quoted
from gradvitals.app.run.job import Job
from gradvitals.errors import LostProcess, out_of_reach
from gradvitals.formatting import SCRIPT, in_shell

RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")  # where the processes meet
OF_A_SWEEP = ("hydra.mode", "hydra.sweep.", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
LOOK, PATIENCE = 0.5, 20.0  # seconds between checks, and until a process that should end is killed
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows os.kill ends a process at once with either
GASP = 3.0  # seconds between the loss of a process's connections and its end


@contextmanager
def job_subprocesses(job: Job, ckpt_path: str | None) -> Iterator[None]:
    """Makes the processes that Lightning starts inside train this job; at the end none of them is left.

    ``ckpt_path`` is the checkpoint that the job resumes from.

    Raises:
        LostProcess: one of them died, which made this one fail.
    """
    from lightning.pytorch.strategies.launchers import subprocess_script as lightnings

    before, observers = dict(os.environ), list[Observer]()

    def command(local_rank: int) -> tuple[list[str], str]:
        return [sys.executable, *_program(), *_arguments(job, ckpt_path)], HydraConfig.get().runtime.cwd

    with (
        patch.object(lightnings, "_hydra_subprocess_cmd", command),
        patch.object(lightnings, "_launch_process_observer", lambda processes: observers.append(Observer(processes))),
        patch.object(lightnings, "_set_num_threads_if_needed", lambda num_processes: None),  # `threads` says how many
    ):
        if "LOCAL_RANK" in before:  # this process did not start the others
            yield
            return
        try:
            yield
        except Exception as error:
            lost = [reason for observer in observers if out_of_reach(error) and (reason := observer.lost())]
            for observer in observers:
                observer.kill()  # they write no files, and may be waiting for this one
            if lost:
                raise LostProcess(f"{lost[0]}. Resume by resume={in_shell(job.run_dir)}") from error
            raise
        finally:
            for observer in observers:
                observer.end()
            _leave_group(before)


def _program() -> list[str]:
    """The script that was called, which the workers of a sweep know by the environment, or the package itself."""
    script = os.environ.get(SCRIPT, "train")
    return [script] if os.path.isabs(script) else ["-P", "-m", "gradvitals", script]  # -P: not the working folder's


def _arguments(job: Job, ckpt_path: str | None) -> list[str]:
    if job.sweep is None:
        return sys.argv[1:]
    of_hydra = [o for o in HydraConfig.get().overrides.hydra if not o.lstrip("+~").startswith(OF_A_SWEEP)]
    resumed = [f"ckpt_path={quoted(Path(ckpt_path))}"] if ckpt_path else []
    of_job = [override for override in job.overrides if not override.startswith("ckpt_path=")]
    return [*_config_flags(sys.argv[1:]), *of_job, *resumed, *of_hydra, "hydra.mode=RUN"]


def _config_flags(arguments: Sequence[str]) -> list[str]:
    """Returns Hydra's flags that name config files and folders, with their values.

    Example:
        >>> _config_flags(["-m", "--config-dir", "mine", "act=relu,elu", "-cn=train"])
        ['--config-dir', 'mine', '-cn=train']
    """
    flags = ("--config-dir", "--config-name", "--config-path", "-cd", "-cn", "-cp")
    pairs = zip(["", *arguments], arguments, strict=False)
    return [argument for before, argument in pairs if before in flags or argument.partition("=")[0] in flags]


def _leave_group(before: Mapping[str, str]) -> None:
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
    for name in RENDEZVOUS:
        if name not in before:
            os.environ.pop(name, None)


class Observer(threading.Thread):
    """Watches the other processes of a job.

    Where one dies, a collective operation of this one fails. If it does not fail within some seconds, this process is
    killed, because a wait for a GPU cannot be interrupted.

    Args:
        processes: the started processes, by rank from 1 on.
    """

    def __init__(self, processes: Sequence[subprocess.Popen]) -> None:
        super().__init__(daemon=True, name="observer of processes")
        self._processes, self._over = processes, threading.Event()
        self.start()

    def run(self) -> None:
        while not self._over.wait(LOOK):
            if self._first_dead() and not self._over.wait(PATIENCE):
                print(f"gradvitals: {self.lost()}", file=sys.stderr, flush=True)
                self.kill()
                os.kill(os.getpid(), KILL)

    def _first_dead(self) -> tuple[int, int] | None:
        codes = ((rank, process.poll()) for rank, process in enumerate(self._processes, start=1))
        return next(((rank, code) for rank, code in codes if code), None)

    def lost(self) -> str | None:
        """Returns a sentence about the process that died; None where all are alive or have succeeded."""
        deadline = time.monotonic() + GASP
        while not (dead := self._first_dead()) and time.monotonic() < deadline:
            time.sleep(LOOK / 10)
        if not dead:
            return None
        rank, code = dead
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}; its output is above"
        return f"process {rank} of this run (0 to {len(self._processes)}) {how}"

    def end(self) -> None:
        self._over.set()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
        self.kill()

    def kill(self) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.kill()
