"""How a run ended, and what follows from that."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """How a run ended, as ``result.json`` has it.

    Example:
        >>> Status("stopped").is_over, Status.FAILED == "failed", f"{Status.MISSING}"
        (True, True, 'missing')
    """

    MISSING = "missing"  # no result: it is running, or was killed
    INTERRUPTED = "interrupted"  # by Ctrl-C or a signal
    FAILED = "failed"  # by an error
    DIVERGED = "diverged"  # the loss is not finite
    STOPPED = "stopped"  # early, by a callback
    COMPLETED = "completed"

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do, so that neither a resume nor a resumed sweep runs it again."""
        return self in (Status.DIVERGED, Status.STOPPED, Status.COMPLETED)

    @property
    def is_lost(self) -> bool:
        """Whether the run was ended from outside, so that it can continue from its newest checkpoint."""
        return self in (Status.MISSING, Status.INTERRUPTED)

    @property
    def counts(self) -> bool:
        return self in (Status.STOPPED, Status.COMPLETED)

    @property
    def precedence(self) -> int:
        """Which of several attempts at one job counts: the one with the highest number; all that are over are equal."""
        return 3 if self.is_over else list(Status).index(self)
