"""How far a sweep is: read from its jobs' directories, so that it is the same for every launcher."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from gradvitals.formatting import number, visible
from gradvitals.results.objective import Objective
from gradvitals.results.record import RESULT, read_result

EVERY = 0.25  # seconds between looks


class Progress:
    """A line for each job that ends, and on a terminal a bar below: done, running, failed, time left.

    Args:
        sweep_dir: where the jobs' directories appear.
        total: jobs of the sweep.
        waiting: of these, to be run now.
    """

    def __init__(self, sweep_dir: Path, total: int, waiting: int) -> None:
        from rich.console import Console

        self._dir, self._total, self._done = sweep_dir, total, total - waiting
        self._failed, self._earlier = 0, {folder: _stamp(folder) for folder in folders(sweep_dir)}
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        self._began, self._over = time.monotonic(), threading.Event()
        self._first = self._done
        self._bar: Any = None
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Progress:
        if sys.stdout.isatty():
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("", total=self._total, completed=self._done)
            self._bar.start()
        if self._done:
            self._console.print(f"{self._done} of {self._total} jobs have ended before")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        if self._bar is not None:
            self._bar.stop()

    def _watch(self) -> None:
        while not self._over.wait(EVERY):
            self._look()

    def _look(self) -> None:
        """Tell of the jobs that have ended since the last look."""
        running = 0
        for folder in folders(self._dir):
            stamp = _stamp(folder)
            if stamp is None:
                running += folder not in self._earlier
            elif stamp != self._earlier.get(folder):
                self._earlier[folder] = stamp
                self._tell(folder)
        if self._bar is not None:
            words = f"{running} running, {self._failed} failed, {self._left()}"
            self._bar.update(self._task, completed=self._done, description=words)

    def _tell(self, folder: Path) -> None:
        result = read_result(folder)
        self._done += 1
        self._failed += result.get("status") == "failed"
        width = len(str(self._total))
        left = f"  {self._left()}" if self._done < self._total else ""
        words = visible(line(result, folder.name))
        self._console.print(f"[{self._done:>{width}}/{self._total}] {words}{left}")

    def _left(self) -> str:
        """The time that the rest takes at the pace so far."""
        now = self._done - self._first
        if not now:
            return "time left not known yet"
        seconds = (time.monotonic() - self._began) / now * (self._total - self._done)
        return f"{duration(seconds)} left"


def line(result: dict[str, Any], name: str) -> str:
    """What a job came to: what it was, how it ended, its metric, its verdict, its time.

    Example:
        >>> line({"status": "failed", "reason": "no such file", "overrides": ["act=elu"]}, "0_act=elu")
        'act=elu  failed: no such file'
    """
    name, why = " ".join(result.get("overrides", [])) or name, result.get("reason")
    if result.get("status") == "failed":
        return f"{name}  failed: {why}"
    objective = Objective.of_run(result)
    values = result.get("metrics", {}).get(objective.tag) if objective else None
    value = f"{objective} {number(values['best'])}" if values else ""
    parts = [
        name,
        why or str(result.get("status")),
        value,
        result.get("verdict") or "",
        f"{result.get('seconds', 0.0):.1f} s",
    ]
    return "  ".join(part for part in parts if part)


def duration(seconds: float) -> str:
    """Rounded as one says it.

    Example:
        >>> duration(7.2), duration(100), duration(7260)
        ('7 s', '1 min 40 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def _bar(console: Any) -> Any:
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    return Bar(
        TextColumn("sweep"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=console
    )


def folders(sweep_dir: Path) -> list[Path]:
    """The jobs' directories."""
    try:
        return [folder for folder in sweep_dir.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    except OSError:  # not there yet
        return []


def _stamp(folder: Path) -> int | None:
    """When a job's result was written; None where it has none."""
    try:
        return (folder / RESULT).stat().st_mtime_ns
    except OSError:
        return None
