"""A job that submitit runs on a cluster: it leaves at rest, and then submitit puts it back into the queue.

submitit listens to signals of its own before the job begins: one that announces a preemption or the end of the time
limit (SIGUSR2, unless SUBMITIT_PREEMPT_SIGNAL names another), at which it requeues the job, and SIGTERM, which comes
with it and which it passes over. Here the job first comes to rest and saves; then the same handler is given its turn.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any


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
