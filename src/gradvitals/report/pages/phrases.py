"""What several pages say about a run: its verdict and its status, marked, and the commands to type."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED
from gradvitals.formatting import typed
from gradvitals.report.pages.page import Html, tag
from gradvitals.results.longer_run import longer
from gradvitals.results.record import Record
from gradvitals.results.status import Status

WithRemedy = Callable[[Sequence[str], Sequence[str]], list[str]]  # (overrides, remedy) -> overrides
Look = Literal["good", "bad", "muted", "undecided"]
SIGNS: dict[Look, str] = {"good": "✓", "bad": "✕", "muted": "○", "undecided": "?"}
PAGE = "report.html"  # of a run, in its directory
NOT_MONITORED = "not monitored"
STATUS = {
    "completed": "trained to its end",
    "stopped": "stopped early, as configured",
    "diverged": "a loss or gradient was not finite",
    "interrupted": "ended by a signal",
    "failed": "ended by an error",
    "missing": "no result: still running, or killed",
}


def mark(look: Look, words: str) -> Html:
    """Returns words after a sign, so that color alone never distinguishes good from bad."""
    return tag("span", tag("span", SIGNS[look], class_="mark", aria_hidden="true"), words, class_=f"marked {look}")


def look_of(verdicts: Iterable[str]) -> Look:
    """Returns how the verdicts of some runs look together: bad if one is, good if all are.

    Example:
        >>> look_of(["healthy", "undecided"]), look_of(["undecided", "not_learning"])
        ('undecided', 'bad')
    """
    names = set(verdicts)
    if names - {HEALTHY, UNDECIDED}:
        return "bad"
    return "undecided" if UNDECIDED in names else "good"


def verdict_name(record: Record) -> str:
    """Returns the verdict of a run; a monitored run without one was never measured, so it is undecided."""
    monitor = record.config.get("monitor")
    is_monitored = isinstance(monitor, Mapping) and "_target_" in monitor
    return record.verdict or (UNDECIDED if is_monitored else NOT_MONITORED)


def verdict(record: Record) -> Html:
    """Returns the verdict of a run, marked."""
    found = verdict_name(record)
    return mark("muted" if found == NOT_MONITORED else look_of([found]), found)


def outcome(record: Record) -> str:
    """Returns why a run has its verdict: its reason, or else the evidence of its cause; empty: neither is known."""
    if not record.vitals and verdict_name(record) == UNDECIDED:
        return "no step was measured"
    findings = record.vitals.get("findings") or [{}]
    return str(record.vitals.get("reason") or findings[0].get("evidence") or "")


def status(record: Record) -> Html:
    """Returns the status of a run, marked."""
    return mark(
        "muted" if record.status is Status.MISSING else "good" if record.status.counts else "bad", record.status
    )


def page_of(record: Record, folder: Path | None) -> str | None:
    """Returns the address of the page of a run, relative to the folder of the page that links to it.

    None where the run has no page, or there is no way to it.
    """
    page = record.folder / PAGE
    if folder is None or not page.is_file():
        return None
    try:
        return quote(Path(os.path.relpath(page, folder)).as_posix())
    except ValueError:  # another drive
        return None


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
    return typed("train", with_remedy(alone(record), remedy["overrides"]))


def longer_command(record: Record) -> str:
    """Returns the command of a run that is long enough for a verdict."""
    return typed("train", longer(alone(record), record.config, record.result.steps))
