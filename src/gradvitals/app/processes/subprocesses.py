"""The other processes of a job, where Lightning starts them: with the job's own command line, and no longer than it.

Left alone, Lightning starts them with the command line of this process: in a sweep that is the whole sweep's, and each
process trains another job. And where one dies, it kills this one without a word, be it a sweep with jobs to come.
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
from gradvitals.formatting import short

SCRIPT = "GRADVITALS_SCRIPT"  # what was typed after `python`; a sweep's workers are other programs
RENDEZVOUS = ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK", "LOCAL_RANK", "WORLD_SIZE")  # where the processes meet
OF_A_SWEEP = ("hydra.mode", "hydra.sweep.", "hydra.sweeper", "hydra.launcher", "hydra/sweeper", "hydra/launcher")
LOOK, PATIENCE = 0.5, 20.0  # seconds between looks, and that processes have to come to their end
KILL = getattr(signal, "SIGKILL", signal.SIGTERM)  # on Windows os.kill ends a process at once by either
GASP = 3.0  # seconds that a process whose connections are gone takes to be gone itself


@contextmanager
def job_subprocesses(job: Job, ckpt_path: str | None) -> Iterator[None]:
    """Inside, processes that Lightning starts train this job; at the end none is left, and the next job may start some.

    Args:
        job: at hand.
        ckpt_path: the checkpoint that it goes on from, be it typed or found.

    Raises:
        LostProcess: one of them died, by which this one failed.
    """
    from lightning.pytorch.strategies.launchers import subprocess_script as lightnings

    before, observers = dict(os.environ), list[Observer]()

    def command(local_rank: int) -> tuple[list[str], str]:
        return [sys.executable, _script(), *_words(job, ckpt_path)], HydraConfig.get().runtime.cwd

    with (
        patch.object(lightnings, "_hydra_subprocess_cmd", command),
        patch.object(lightnings, "_launch_process_observer", lambda processes: observers.append(Observer(processes))),
        patch.object(lightnings, "_set_num_threads_if_needed", lambda num_processes: None),  # `threads` says how many
    ):
        if "LOCAL_RANK" in before:  # the others are somebody else's to end
            yield
            return
        try:
            yield
        except Exception as error:
            lost = [words for observer in observers if out_of_reach(error) and (words := observer.lost())]
            for observer in observers:
                observer.kill()  # they write nothing, and may wait for this one
            if lost:
                raise LostProcess(f"{lost[0]}. Go on by resume={short(job.run_dir)}") from error
            raise
        finally:
            for observer in observers:
                observer.end()
            _part(before)


def _script() -> str:
    """The program that composes and trains, as this process's command named it."""
    return os.environ.get(SCRIPT) or str(Path(__file__).parents[3] / "train.py")


def _words(job: Job, ckpt_path: str | None) -> list[str]:
    """What is typed for this job alone."""
    if job.sweep is None:
        return sys.argv[1:]
    hydras = [w for w in HydraConfig.get().overrides.hydra if not w.lstrip("+~").startswith(OF_A_SWEEP)]
    goes_on = [f"ckpt_path={quoted(Path(ckpt_path))}"] if ckpt_path else []
    mine = [word for word in job.overrides if not word.startswith("ckpt_path=")]
    return [*_config_flags(sys.argv[1:]), *mine, *goes_on, *hydras, "hydra.mode=RUN"]


def _config_flags(words: Sequence[str]) -> list[str]:
    """Hydra's flags that say where configs lie, with their values.

    Example:
        >>> _config_flags(["-m", "--config-dir", "mine", "act=relu,elu", "-cn=train"])
        ['--config-dir', 'mine', '-cn=train']
    """
    flags = ("--config-dir", "--config-name", "--config-path", "-cd", "-cn", "-cp")
    found: list[str] = []
    for before, word in zip(["", *words], words, strict=False):
        if before in flags or word.partition("=")[0] in flags:
            found.append(word)
    return found


def _part(before: Mapping[str, str]) -> None:
    """Leave the process group and forget where it met, so that the next job can make its own."""
    import torch.distributed as dist

    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
    for name in RENDEZVOUS:
        if name not in before:
            os.environ.pop(name, None)


class Observer(threading.Thread):
    """Watches the other processes. Where one dies, this one misses it in a collective call and fails; where it does not
    within some seconds, it is killed, because waiting on a GPU cannot be interrupted.

    Args:
        processes: that were started.
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
        """Rank and exit code of a process that ended otherwise than well."""
        codes = ((rank, process.poll()) for rank, process in enumerate(self._processes, start=1))
        return next(((rank, code) for rank, code in codes if code), None)

    def lost(self) -> str | None:
        """Which process died, and how; None: all live, or have ended as they should."""
        deadline = time.monotonic() + GASP
        while not (dead := self._first_dead()) and time.monotonic() < deadline:
            time.sleep(LOOK / 10)
        if dead is None:
            return None
        rank, code = dead
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}; what it said stands above"
        return f"process {rank} of this run (0 to {len(self._processes)}) {how}"

    def end(self) -> None:
        """The job is over: wait for the others to come to their end, and see to it that they do."""
        self._over.set()
        for process in self._processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=PATIENCE)
        self.kill()

    def kill(self) -> None:
        """End what still lives."""
        for process in self._processes:
            if process.poll() is None:
                process.kill()
