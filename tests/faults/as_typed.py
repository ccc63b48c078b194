"""A command line run in this process, as ``python src/train.py WORDS`` runs it in one of its own.

Importing torch and Lightning once instead of each time is what makes hundreds of them affordable.
"""

from __future__ import annotations

import io
import logging
import os
import random
import runpy
import signal
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

from tests.conftest import ROOT

SCRIPT = ROOT / "src" / "train.py"


class TooLong(BaseException):
    """The time of a command was up; no ``except Exception`` on the way swallows it."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it said."""

    code: int
    out: str
    err: str


def run(words: Sequence[str], folder: Path, seconds: float = 20, script: Path = SCRIPT) -> Ended:
    """Run a command line in a folder.

    Raises:
        TooLong: it did not end in time.
    """
    out, err = io.StringIO(), io.StringIO()
    with _state_kept(), _limit(seconds), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.resetwarnings()  # as in a process of its own; pytest makes errors of them
        os.chdir(folder)
        sys.argv = [str(script), *words]
        code = _exit_code(script)
    return Ended(code, out.getvalue(), err.getvalue())


def _exit_code(script: Path) -> int:
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 0
    return 0


@contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise where the time is up, in whatever runs then."""

    def ring(*_: object) -> None:
        raise TooLong(f"{seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _state_kept() -> Iterator[None]:
    """Put back what a process of its own would take with it: Hydra, folder, environment, torch's switches."""
    environment, argv, cwd, known = dict(os.environ), sys.argv, Path.cwd(), HydraConfig.instance().cfg
    root, handlers = logging.getLogger(), list(logging.getLogger().handlers)
    level, draws, numbers = root.level, random.getstate(), np.random.get_state()
    threads = torch.get_num_threads()
    GlobalHydra.instance().clear()
    try:
        yield
    finally:
        os.chdir(cwd)
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
        for handler in set(root.handlers) - set(handlers):
            handler.close()
        root.handlers[:] = handlers
        root.setLevel(level)
        GlobalHydra.instance().clear()
        HydraConfig.instance().cfg = known
        random.setstate(draws)
        np.random.set_state(numbers)
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)
        torch.use_deterministic_algorithms(False)
        torch.autograd.set_detect_anomaly(False)
