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
SAVE = 1  # a wish that is no exit code: a checkpoint, and on
# Clusters announce by one of the last two that they will end a job; where there are none (Windows), nobody sends them.
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED} | {
    getattr(signal, name): TERMINATED for name in ("SIGUSR1", "SIGUSR2") if hasattr(signal, name)
}


class Signals:
    """Listens within its ``with``. A signal ends the job at once, or where ``waits`` is set, at the next good moment.

    Whoever sets ``waits`` looks at ``wish`` at such moments and leaves. A second signal is not waited for. What
    submitit listened to before is its own again at the end of the ``with``; see :func:`hand_over`.

    Attributes:
        code: the exit code that a signal asks for; 0: none came.
        saves: whether a checkpoint is asked for at the next good moment, as the end may be near.
        waits: whether a good moment to end is still to come.
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
    def wish(self) -> int:
        """The exit code that is asked for, or ``SAVE``, or 0."""
        return self.code or int(self.saves)

    def listen(self) -> None:
        """Take the signals over, again where somebody else took them since; only a main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in CODES:
                before = signal.signal(number, self._heard)
                self._before.setdefault(number, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGTERM and is_submitits(self._before.get(number)):
            self.saves = True  # what requeues the job comes next; and where it does not, a kill
            return
        self._last = number
        again, self.code = self.code, CODES[signal.Signals(number)]
        if again or not self.waits:
            raise SystemExit(self.code)
        log.info(f"{signal.Signals(number).name}: ending after this step, with a checkpoint; once more ends at once")


def is_submitits(handler: Any) -> bool:
    """Whether submitit listened to a signal before this job did."""
    return "SUBMITIT_EXECUTOR" in os.environ and callable(handler) and handler is not signal.default_int_handler


def hand_over(came: int | None, handlers: Mapping[int, Any]) -> None:
    """Let submitit requeue a job that leaves on a signal; the next start goes on from its checkpoint.

    Args:
        came: the signal; None: another process of the run was told, and all leave together.
        handlers: who listened to which signal before.

    Raises:
        SystemExit: it is requeued; in a task other than the first, which alone requeues, 0: an error would end the
            first one while it does.
        RuntimeError: submitit's, where the job has timed out as often as ``max_num_timeout`` allows.

    Example:
        >>> hand_over(None, {signal.SIGTERM: signal.SIG_DFL})  # nobody's job
    """
    asked = next((number for number, by in handlers.items() if number != signal.SIGTERM and is_submitits(by)), None)
    if asked is not None and came in (None, asked):
        handlers[asked](asked, None)
        raise SystemExit(0)
