"""What several pages say about a run: its verdict and its status, marked, and the commands to type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradvitals.formatting import train_command
from gradvitals.report.pages.page import Html, tag
from gradvitals.results.record import Record
from gradvitals.results.status import Status

HEALTHY = "healthy"
WithRemedy = Callable[[Sequence[str], Sequence[str]], list[str]]  # (overrides, remedy) -> overrides
STATUS = {
    "completed": "trained to its end",
    "stopped": "stopped early, as configured",
    "diverged": "a loss or gradient was not finite",
    "interrupted": "ended by a signal",
    "failed": "ended by an error",
    "missing": "no result: still running, or killed",
}


def mark(good: bool | None, words: str) -> Html:
    """Returns words after a sign, so that color alone never distinguishes good from bad."""
    sign, look = {True: ("✓", "good"), False: ("✕", "bad"), None: ("○", "muted")}[good]
    return tag("span", tag("span", sign, class_="mark", aria_hidden="true"), words, class_=f"marked {look}")


def verdict(record: Record) -> Html:
    """Returns the verdict of a run, marked."""
    found = record.verdict
    return mark(found == HEALTHY if found else None, found or "not monitored")


def status(record: Record) -> Html:
    """Returns the status of a run, marked."""
    return mark(None if record.status is Status.MISSING else record.status.counts, record.status)


def alone(record: Record) -> list[str]:
    """Returns the overrides that repeat a run by itself, even where one of its config groups defines a sweep.

    Example:
        >>> from pathlib import Path
        >>> alone(Record(Path("runs/a"), overrides=["sweep=depth", "seed=1"]))
        ['sweep=depth', 'seed=1', 'hydra.mode=RUN']
    """
    groups = ("sweep=", "experiment=") if (record.folder.parent / "multirun.yaml").exists() else ("sweep=",)
    of_a_sweep = any(override.startswith(groups) for override in record.overrides)
    return [*record.overrides, *(["hydra.mode=RUN"] if of_a_sweep else [])]


def remedy_command(record: Record, remedy: Mapping[str, Any], with_remedy: WithRemedy) -> str:
    """Returns the command of a run with a remedy in it."""
    return train_command(with_remedy(alone(record), remedy["overrides"]))
