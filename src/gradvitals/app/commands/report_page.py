"""The page of any set of runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from gradvitals.report.pages.phrases import PAGE
from gradvitals.report.pages.run_page import run_page
from gradvitals.report.pages.runs_page import runs_page
from gradvitals.results.record import locate, read

MANY = 10  # runs from which on reading shows its progress
T = TypeVar("T")


def write_page(folders: Iterable[Path], output: Path | None = None) -> Path:
    """Writes the page of the runs in some folders; returns its file.

    Raises:
        ValueError: a folder without a run.
        OSError: the page cannot be written.
    """
    with_remedy = _with_remedy()
    found = locate(folders)
    records = [read(folder) for folder in _track(found, "runs")]
    file = output or _folder_of(found) / PAGE
    if len(found) == 1:
        page = run_page(records[0], with_remedy)
    else:
        page = runs_page(records, with_remedy, lambda runs: _track(list(runs), "curves"), file.parent)
    file.write_text(page, encoding="utf-8")
    return file


def _with_remedy() -> Callable[[Sequence[str], Sequence[str]], list[str]]:
    """Returns how to replace overrides by a remedy: where Hydra reads the configs, whole options with their keys."""
    if find_spec("hydra") is None:
        return replaced
    from gradvitals.app.config.project_settings import read_project_settings
    from gradvitals.app.config.remedy_overrides import with_remedy

    read_project_settings()
    return with_remedy


def replaced(typed: Sequence[str], remedy: Sequence[str]) -> list[str]:
    """Returns the typed overrides without the keys of the remedy, and the remedy.

    Example:
        >>> replaced(["act=relu", "++model.depth=9"], ["act=elu"])
        ['++model.depth=9', 'act=elu']
    """
    keys = {_key(word) for word in remedy}
    return [*(word for word in typed if _key(word) not in keys), *remedy]


def _key(word: str) -> str:
    return word.lstrip("+~").partition("=")[0]


def _folder_of(runs: Sequence[Path]) -> Path:
    """The folder of one run, or the one that contains several, if it is below the working folder or elsewhere."""
    if len(runs) == 1:
        return runs[0]
    here = Path.cwd()
    try:
        common = Path(os.path.commonpath([run.absolute() for run in runs]))
    except ValueError:  # several drives
        return runs[0].parent
    return runs[0].parent if common in (here, *here.parents) else common


def _track(items: list[T], what: str) -> Iterable[T]:
    """The same items, with a bar in a terminal where there are many and Rich is installed."""
    if len(items) < MANY or not sys.stderr.isatty() or find_spec("rich") is None:
        return items
    from rich.console import Console
    from rich.progress import track

    return track(items, f"{what:<12}", console=Console(stderr=True), transient=True)
