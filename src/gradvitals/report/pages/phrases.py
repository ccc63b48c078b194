"""What several pages say of a run: its verdict, its objective, what to type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gradvitals.formatting import train_command
from gradvitals.report.pages.page import Html, tag
from gradvitals.results.record import Record
from gradvitals.results.status import Status

HEALTHY = "healthy"
WithRemedy = Callable[[Sequence[str], Sequence[str]], list[str]]  # (typed, remedy) -> what to type
STATUS = {
    "completed": "trained to its end",
    "stopped": "ended early, as asked",
    "diverged": "a loss or gradient was not finite",
    "interrupted": "ended by a signal",
    "failed": "ended by an error",
    "missing": "left no result: still running, or killed",
}


def mark(good: bool | None, words: str) -> Html:
    """Words behind a sign: colour is never all that tells good from bad."""
    sign, look = {True: ("✓", "good"), False: ("✕", "bad"), None: ("○", "muted")}[good]
    return tag("span", tag("span", sign, class_="mark", aria_hidden="true"), words, class_=f"marked {look}")


def verdict(record: Record) -> Html:
    """The verdict, marked."""
    found = record.verdict
    return mark(found == HEALTHY if found else None, found or "not watched")


def status(record: Record) -> Html:
    """The status, marked."""
    return mark(None if record.status is Status.MISSING else record.status.counts, record.status)


def alone(record: Record) -> list[str]:
    """What to type for this run by itself: a file of choices that it was made from may say that it is a sweep.

    Example:
        >>> from pathlib import Path
        >>> alone(Record(Path("runs/a"), overrides=["sweep=depth", "seed=1"]))
        ['sweep=depth', 'seed=1', 'hydra.mode=RUN']
    """
    in_sweep = (record.folder.parent / "multirun.yaml").exists()
    of_a_sweep = any(
        word.startswith("sweep=") or (in_sweep and word.startswith("experiment=")) for word in record.overrides
    )
    return [*record.overrides, *(["hydra.mode=RUN"] if of_a_sweep else [])]


def remedy_command(record: Record, remedy: Mapping[str, Any], with_remedy: WithRemedy) -> str:
    """Returns the command of a run with a remedy in it."""
    return train_command(with_remedy(alone(record), remedy["overrides"]))


def flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A nested config by dotted keys.

    Example:
        >>> flat({"model": {"depth": 3, "hidden": None}, "seed": 1})
        {'model.depth': '3', 'model.hidden': 'null', 'seed': '1'}
    """
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = written(value)
    return found


def written(value: object) -> str:
    """A value as one types it."""
    plain = {None: "null", True: "true", False: "false"}
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(written, value))}]"
    return plain[value] if value is None or isinstance(value, bool) else str(value)
