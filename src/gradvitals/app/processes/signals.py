"""Ctrl-C, SIGTERM, SIGUSR1 and SIGUSR2: when they end a job, and with which exit code."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Mapping
from types import FrameType
from typing import Any

from gradvitals.errors import INTERRUPTED, TERMINATED

log = logging.getLogger(__name__)
SAVE = 1  # a request that is not an exit code: save a checkpoint and keep training
# Clusters announce by one of the last two that they will end a job. Windows has neither.
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED} | {
    getattr(signal, name): TERMINATED for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)
}


class Signals:
    """Handles signals inside its ``with``. A signal ends the job at once, or where ``waits`` is set, between batches.

    Whoever sets ``waits`` checks ``requested`` between batches and ends the job. A second signal ends it at once. At
    the end of the ``with`` the handlers of before, such as submitit's, are restored; see :func:`hand_over`.

    Attributes:
        code: the exit code that a signal asks for; 0: none came.
        saves: whether a checkpoint is asked for, because the job may be killed soon.
        waits: whether the job is in a fit, which can end between batches.
    """

    def __init__(self) -> None:
        self.code = 0
        self.saves = False
        self.waits = False
        self._last: int | None = None
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        handlers, self._before = self._before, {}
        for number, handler in handlers.items():
            signal.signal(number, handler)
        if self.code == TERMINATED:
            hand_over(self._last, handlers)

    @property
    def requested(self) -> int:
        return self.code or int(self.saves)

    def listen(self) -> None:
        """Installs the handlers, again where another library has replaced them; only a main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in CODES:
                before = signal.signal(number, self._handle)
                self._before.setdefault(number, before)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and is_of_submitit(self._before.get(number)):
            self.saves = True  # the signal that requeues the job comes next, or a kill
            return
        self._last = number
        earlier, self.code = self.code, CODES[signal.Signals(number)]
        if earlier or not self.waits:
            raise SystemExit(self.code)
        name = signal.Signals(number).name
        log.info(f"{name}: ending after this step, with a checkpoint; a second signal ends at once")


def is_of_submitit(handler: Any) -> bool:
    """Returns whether a signal's handler of before is submitit's."""
    return "SUBMITIT_EXECUTOR" in os.environ and callable(handler) and handler is not signal.default_int_handler


def hand_over(came: int | None, handlers: Mapping[int, Any]) -> None:
    """Lets submitit requeue a job that ends on a signal; the next start resumes from its checkpoint.

    Args:
        came: the signal; None: another process of the run received it, and all end together.
        handlers: signal -> its handler of before.

    Raises:
        SystemExit: the job is requeued. The first task alone requeues; the exit code of the others is 0, because an
            error would end the first one meanwhile.
        RuntimeError: of submitit, where the job has timed out as often as ``max_num_timeout`` allows.

    Example:
        >>> hand_over(None, {signal.SIGTERM: signal.SIG_DFL})  # not a job of submitit
    """
    asked = next((number for number, by in handlers.items() if number != signal.SIGTERM and is_of_submitit(by)), None)
    if asked is not None and came in (None, asked):
        handlers[asked](asked, None)
        raise SystemExit(0)
