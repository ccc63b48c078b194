"""Who watches a sweep: progress while its jobs run, and its summary however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from gradvitals.app.errors import Refused
from gradvitals.app.names import short
from gradvitals.app.sweep.progress import Progress, folders
from gradvitals.app.sweep.summary import Figures, Summary, summarise
from gradvitals.report.visible import visible


@contextmanager
def attended(
    sweep_dir: Path,
    total: int,
    waiting: int,
    figures: Callable[[], Figures] = tuple,
    alone: AbstractContextManager[Any] | None = None,
) -> Iterator[None]:
    """Show how far the jobs are; at the end, write the sweep's files and print its table.

    Args:
        sweep_dir: of the jobs.
        total: jobs of the sweep.
        waiting: of these, to be run now.
        figures: more of them for the sweep's page.
        alone: held while the files are written, where several commands share the sweep: the last has seen all jobs.

    Raises:
        SystemExit: 1 where a job failed.
        Refused: jobs have run and left nothing here.
    """

    def summary() -> Summary:
        with alone or nullcontext():
            return summarise(sweep_dir, figures)

    try:
        with Progress(sweep_dir, total, waiting):
            yield
    except BaseException:
        _tell(summary(), f"to go on     {_resume(sweep_dir)}")
        raise
    if waiting and not folders(sweep_dir):
        way_out = "Let all machines that run jobs share the folder of hydra.sweep.dir, and the one where this was typed"
        raise Refused(f"{sweep_dir}: expected directories of {waiting} jobs; there is none. {way_out}")
    done = summary()
    _tell(done, f"try again    {_resume(sweep_dir)}" if done.failed else "")
    if done.failed:
        raise SystemExit(1)


def _tell(done: Summary, more: str) -> None:
    if done.text:
        print(visible("\n".join(part for part in (done.text, more) if part)), flush=True)


def _resume(sweep_dir: Path) -> str:
    return f"python src/train.py resume_sweep={short(sweep_dir)}"
