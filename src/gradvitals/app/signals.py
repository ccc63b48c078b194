"""Ctrl-C, SIGTERM and SIGUSR1: when they end a job, and with which exit code."""

from __future__ import annotations

import logging
import signal
import threading
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

INTERRUPTED, TERMINATED = 130, 143  # exit codes of Ctrl-C and SIGTERM
# Clusters announce by SIGUSR1 that they will end a job; where there is none (Windows), nobody sends it.
CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED} | (
    {signal.SIGUSR1: TERMINATED} if hasattr(signal, "SIGUSR1") else {}
)


class Signals:
    """Listens within its ``with``. A signal ends the job at once, or where ``waits`` is set, at the next good moment.

    Whoever sets ``waits`` looks at ``code`` at such moments and leaves. A second signal is not waited for.

    Attributes:
        code: the exit code that a signal asks for; 0: none came.
        waits: whether a good moment to end is still to come.
    """

    def __init__(self) -> None:
        self.code = 0
        self.waits = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Signals:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def listen(self) -> None:
        """Take the signals over, again where somebody else took them since; only a main thread can."""
        if threading.current_thread() is threading.main_thread():
            for number in CODES:
                before = signal.signal(number, self._heard)
                self._before.setdefault(number, before)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        again, self.code = self.code, CODES[signal.Signals(number)]
        if again or not self.waits:
            raise SystemExit(self.code)
        log.info(f"{signal.Signals(number).name}: ending after this step, with a checkpoint; once more ends at once")
