"""The command line in a process that can be killed, without the seconds that a new interpreter takes to import torch."""

from __future__ import annotations

import os
import runpy
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from importlib import import_module
from pathlib import Path

from tests.conftest import ROOT

LIMIT = 90  # seconds
IMPORTED = (  # what a run imports, once for all processes
    "gradvitals.app.commands.train",
    "gradvitals.app.run.assemble",
    "gradvitals.app.processes.interruption",
    "gradvitals.app.run.run_result",
    "gradvitals.app.commands.train",
    "gradvitals.loggers.hparams",
    "gradvitals.data.digits",
    "google_crc32c",
    "sklearn.datasets",
    "sklearn.model_selection",
    "tensorboard.plugins.hparams.plugin_data_pb2",
    "torch.utils.tensorboard",
)


def start(folder: Path, *words: str, script: str | Path = "train.py", fault: Callable[[], None] = lambda: None) -> int:
    """``python src/SCRIPT WORDS`` in a folder, in a process of its own.

    Args:
        folder: where it is typed; what it prints goes to ``out.txt`` there.
        words: what is typed.
        script: of ``src/``, or an absolute path.
        fault: called in the process before the script: puts into it what shall go wrong.

    Returns:
        The process's number.
    """
    for name in IMPORTED:
        import_module(name)
    if pid := os.fork():
        return pid
    code = 99
    try:
        _become(folder, script, words)
        fault()
        runpy.run_path(sys.argv[0], run_name="__main__")
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _become(folder: Path, script: str | Path, words: tuple[str, ...]) -> None:
    """A process in which nothing of the tests is left but what was imported."""
    import torch
    from hydra.core.global_hydra import GlobalHydra

    torch.set_num_threads(
        1
    )  # OpenMP's threads are not forked, and a computation on several would wait for them forever
    os.chdir(folder)
    for key in [key for key in os.environ if key.startswith(("HYDRA", "GRADVITALS_", "PYTEST"))]:
        del os.environ[key]
    out = os.open("out.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    GlobalHydra.instance().clear()
    sys.argv = [str(ROOT / "src" / script), *words]


def wait(pid: int, limit: float = LIMIT) -> int:
    """The exit code; minus the signal's number where one killed it."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise TimeoutError(f"process {pid} hangs")


def run(folder: Path, *words: str, **how: object) -> int:
    """:func:`start` and :func:`wait`."""
    return wait(start(folder, *words, **how))  # type: ignore[arg-type]


def torchrun(folder: Path, processes: int, *words: str, script: str | Path = "train.py") -> list[int]:
    """Runs a script in several processes that find what torchrun tells its own; their exit codes."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    members = [partial(_in_torchrun, rank, processes, port) for rank in range(processes)]
    started = [start(folder, *words, script=script, fault=member) for member in members]
    return [wait(pid, 240) for pid in started]


def _in_torchrun(rank: int, processes: int, port: int) -> None:
    from lightning.pytorch.utilities.rank_zero import rank_zero_only

    os.environ.pop("PL_GLOBAL_SEED", None)
    ranks = {"RANK": rank, "LOCAL_RANK": rank, "GROUP_RANK": 0}
    sizes = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes, "GROUP_WORLD_SIZE": 1}
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "forked"}
    os.environ.update({key: str(value) for key, value in (ranks | sizes | place).items()})
    rank_zero_only.rank = rank  # which Lightning took from the environment when it was imported


def the_run(folder: Path) -> Path:
    """The only run directory under a folder."""
    (found,) = folder.glob("logs/train/runs/*")
    return found


def said(folder: Path) -> str:
    """What was printed there."""
    return (folder / "out.txt").read_text()
