"""The progress of a sweep: read from its jobs' directories, so that it is the same for every launcher."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar

from gradvitals.formatting import duration, number, visible
from gradvitals.results.objective import Objective
from gradvitals.results.result import RESULT, Result
from gradvitals.results.status import Status

INTERVAL = 0.25  # seconds between two looks at the directories


class Progress:
    """Prints a line for each job that ends, and on a terminal a bar below: done, running, failed, time left.

    Args:
        sweep_dir: of the jobs.
        total: jobs of the sweep.
        pending: of these, to be run now.
        in_thread: whether it looks by itself; a process that forks has no threads.
    """

    def __init__(self, sweep_dir: Path, total: int, pending: int, in_thread: bool = True) -> None:
        self._dir, self._total, self._done = sweep_dir, total, total - pending
        self._failed, self._known = 0, {folder: _stamp(folder) for folder in folders(sweep_dir)}
        self._began, self._first, self._over = time.monotonic(), self._done, threading.Event()
        self._console = Console(highlight=False, markup=False, soft_wrap=True)
        columns = TextColumn("sweep"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}")
        hidden = not sys.stdout.isatty()
        self._bar = Bar(*columns, console=self._console, disable=hidden, auto_refresh=in_thread)
        self._task = self._bar.add_task("", total=total, completed=self._done)
        self._thread = threading.Thread(target=self._watch, daemon=True) if in_thread else None

    def __enter__(self) -> Progress:
        self._bar.start()
        if self._done:
            self._console.print(f"{self._done} of {self._total} jobs have ended before")
        if self._thread:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()
        self.look()
        if not self._bar.disable:  # older versions of rich print an empty line
            self._bar.stop()

    def _watch(self) -> None:
        while not self._over.wait(INTERVAL):
            self.look()

    def look(self) -> None:
        """Reads the directories once and shows what is new; without a thread the launcher calls it."""
        running = 0
        for folder in folders(self._dir):
            stamp = _stamp(folder)
            if stamp is None:
                running += folder not in self._known
            elif stamp != self._known.get(folder):
                self._known[folder] = stamp
                self._print(folder)
        description = f"{running} running, {self._failed} failed, {self._left()}"
        self._bar.update(self._task, completed=self._done, description=description, refresh=True)

    def _print(self, folder: Path) -> None:
        result = Result.read(folder)
        self._done += 1
        self._failed += result.status is Status.FAILED
        width = len(str(self._total))
        left = f"  {self._left()}" if self._done < self._total else ""
        self._console.print(f"[{self._done:>{width}}/{self._total}] {visible(line(result, folder.name))}{left}")

    def _left(self) -> str:
        now = self._done - self._first
        if not now:
            return "time left not known yet"
        seconds = (time.monotonic() - self._began) / now * (self._total - self._done)
        return f"{duration(seconds)} left"


def line(result: Result, name: str) -> str:
    """Returns what a job came to: its overrides, how it ended, its metric, verdict and time.

    Example:
        >>> line(Result(Status.FAILED, "no such file", overrides=["act=elu"]), "0_act=elu")
        'act=elu  failed: no such file'
    """
    name = " ".join(result.overrides) or name
    if result.status is Status.FAILED:
        return f"{name}  failed: {result.reason}"
    objective = result.objective or Objective.resolve(result.metrics)
    metric = result.metrics.get(objective.tag) if objective else None
    value = f"{objective} {number(metric.best)}" if metric else ""
    parts = [name, result.reason or result.status, value, result.verdict, f"{result.seconds or 0.0:.1f} s"]
    return "  ".join(part for part in parts if part)


def folders(sweep_dir: Path) -> list[Path]:
    """Returns the jobs' directories."""
    try:
        return [folder for folder in sweep_dir.iterdir() if folder.is_dir() and not folder.name.startswith(".")]
    except OSError:  # not there yet
        return []


def _stamp(folder: Path) -> int | None:
    try:
        return (folder / RESULT).stat().st_mtime_ns
    except OSError:
        return None
