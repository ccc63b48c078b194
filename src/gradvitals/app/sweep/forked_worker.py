"""A process that is forked from this one, does one task after the other, and does not outlive it."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from gradvitals.app.processes.signals import CODES
from gradvitals.app.processes.subprocesses import KILL

DIE_WITH_PARENT = 1  # PR_SET_PDEATHSIG of Linux's prctl
PATIENCE = 20.0  # seconds until a worker that was asked to end is killed


class ForkedWorker:
    """A forked process that calls a function with each task that it is given.

    Args:
        work: the function. What it returns must be picklable; an error or SystemExit in it ends the worker.

    Attributes:
        connection: is ready when there is an answer, or the worker has died.
        task: what it works on; None: nothing, and it ends.

    Example:
        >>> worker = ForkedWorker(len)
        >>> worker.give("abc")
        >>> worker.answer()
        3
        >>> worker.end()
    """

    def __init__(self, work: Callable[[Any], Any]) -> None:
        context = multiprocessing.get_context("fork")
        self.connection, there = context.Pipe()
        self.task: Any = None
        # Not a daemon, which could have no workers of its own to load data.
        self._process = context.Process(target=_serve, args=(work, there, self.connection, os.getpid()))
        with warnings.catch_warnings():
            # Python 3.12 warns of every thread. BLAS alone has some, and is prepared for a fork.
            warnings.filterwarnings("ignore", r".*use of fork\(\) may lead to deadlocks.*", DeprecationWarning)
            self._process.start()
        there.close()

    def give(self, task: Any) -> None:
        """Gives it a task; None: it is no longer needed."""
        self.task = task
        with suppress(OSError):  # it has died, which `answer` says
            self.connection.send(task)

    @property
    def has_ended(self) -> bool:
        """Whether it has answered or died. A process of its own that outlives it keeps its connection open."""
        return self.connection.poll() or not self._process.is_alive()

    def answer(self) -> Any:
        """Returns what the task came to.

        Raises:
            EOFError: the worker has died; the message says how.
            Exception: one that the work has returned.
        """
        try:
            if self.connection.poll() or self._process.is_alive():
                if not isinstance(answer := self.connection.recv(), Exception):
                    return answer
                raise answer
        except (EOFError, OSError):  # in the midst of an answer
            self._process.join(PATIENCE)
        code = self._process.exitcode or 0
        raise EOFError(f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}")

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        if self._process.is_alive() and self._process.pid:
            os.kill(self._process.pid, number)

    def end(self) -> None:
        """Ends it: by SIGTERM where it has a task, and after some seconds by SIGKILL."""
        if self.task is None:
            self.give(None)
        else:
            self.signal(signal.SIGTERM)
        self._process.join(PATIENCE)
        self._process.kill()
        self._process.join()
        self.connection.close()


def _serve(work: Callable[[Any], Any], tasks: Connection, of_parent: Connection, parent: int) -> None:
    of_parent.close()
    os.setpgid(0, 0)  # Ctrl-C reaches the parent, which passes it on once
    for number in CODES:
        signal.signal(number, signal.SIG_DFL)  # a job has handlers of its own
    with suppress(OSError, AttributeError):  # not Linux: it ends after its task
        ctypes.CDLL(None).prctl(DIE_WITH_PARENT, KILL)
    sys.stdout = getattr(sys.stdout, "rich_proxied_file", sys.stdout)  # the parent draws the bar
    sys.stderr = getattr(sys.stderr, "rich_proxied_file", sys.stderr)
    while os.getppid() == parent and (task := tasks.recv()) is not None:
        tasks.send(work(task))
