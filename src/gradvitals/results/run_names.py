"""Reads the names of run directories: when a run began, in which order runs are listed, and which name was meant."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from difflib import SequenceMatcher
from pathlib import Path

from gradvitals.formatting import natural, short

TIME = re.compile(r"_(\d{8})-(\d{6})(?:-\d+)?$")  # what was typed first, the time behind it
OLD_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)_(\d\d)-(\d\d)-(\d\d)(?:-(\d{6}))?")  # earlier versions: the time first
JOB = re.compile(r"\d+_")  # of a sweep, numbered: a time behind it is that of a path that was typed
SHOWN = 3  # names that an error offers


def time_in(name: str) -> str:
    """Returns the digits of the time in a directory's name, the year first; empty where there is none.

    Example:
        >>> time_in("model-bn_20261129-163708-2"), time_in("2026-11-29_16-37-08-000123_model=bn")
        ('20261129163708', '20261129163708000123')
        >>> time_in("mine"), time_in("0_weights-runs-model-bn_20261129-163708")
        ('', '')
    """
    if JOB.match(name):
        return ""
    found = OLD_TIME.match(name) or TIME.search(name)
    return "".join(filter(None, found.groups())) if found else ""


def began(run_dir: Path) -> tuple[float, float]:
    """Returns a key that sorts run directories by when their runs began.

    The name says it to the second; where it does not, and within a second, the time of the directory ``.hydra`` does.
    """
    try:
        made = (run_dir / ".hydra").stat().st_mtime
    except OSError:
        made = 0.0
    try:
        named = datetime.strptime(time_in(run_dir.name)[:14], "%Y%m%d%H%M%S").timestamp()
    except (ValueError, OverflowError):  # none, or digits that are no time
        named = made
    return named, made


def in_order(run_dir: Path) -> list[tuple[str, list[tuple[int, str]]]]:
    """Returns a key that sorts run directories by time where their names contain one, else in natural order.

    Example:
        >>> names = ["s/10_b", "s/2_b", "a_20261129-163709", "b_20261129-163708"]
        >>> [str(path) for path in sorted(map(Path, names), key=in_order)]
        ['s/2_b', 's/10_b', 'b_20261129-163708', 'a_20261129-163709']
    """
    return [(time_in(part), natural(part)) for part in run_dir.parts]


def closest_runs(missing: Path, logs: Path = Path("logs")) -> str:
    """Returns the end of an error about a run that is not there: the names closest to it, beside it or in the logs.

    Empty where there are no runs.
    """
    beside = _runs_in(missing.parent.glob("*")) if missing.name else []
    found = {run.resolve(): run for run in [*beside, *_runs_in(logs.glob("*/*/*")), *_runs_in(logs.glob("*/*/*/*"))]}
    if not found:
        return ""
    names = sorted(found.values(), key=lambda run: _likeness(run.name, missing.name), reverse=True)
    return f". The closest of the {len(names)} runs: {', '.join(short(run) for run in names[:SHOWN])}"


def require_directory(run_dir: Path) -> None:
    """Raises FileNotFoundError, with the names of the closest runs, where there is no such directory."""
    if not run_dir.is_dir():
        raise FileNotFoundError(f"{run_dir}: expected a run directory; there is none{closest_runs(run_dir)}")


def _runs_in(folders: Iterable[Path]) -> list[Path]:
    """Returns the runs that wrote something, which the command that reports the error has not."""
    return [folder for folder in folders if any((folder / name).exists() for name in ("result.json", "checkpoints"))]


def _likeness(name: str, wanted: str) -> tuple[float, str]:
    return SequenceMatcher(None, wanted, name, autojunk=False).ratio(), time_in(name)
