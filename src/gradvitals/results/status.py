"""How a run ended, and what counts."""

from __future__ import annotations

UNFINISHED = ("missing", "interrupted", "failed")  # statuses of what resuming a sweep runs again
ENDED = ("completed", "stopped")  # statuses of runs whose numbers count
