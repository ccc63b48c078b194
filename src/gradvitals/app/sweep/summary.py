"""What a sweep leaves behind: sweep.csv, sweep.md, sweep.html, sweep.png, and the table in the terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradvitals.app.sweep.progress import Progress, folders
from gradvitals.errors import ConfigError
from gradvitals.formatting import short, train_command, visible
from gradvitals.report.pages.phrases import alone
from gradvitals.report.tables.sweep import answer, as_csv, markdown, text
from gradvitals.results.aggregate import Sweep, fold
from gradvitals.results.files import write_bytes
from gradvitals.results.record import below

log = logging.getLogger(__name__)
Figures = Sequence[tuple[str, dict[str, Any]]]  # heading and Plotly figure


@dataclass(frozen=True)
class Summary:
    """What to print, nothing where no training ran, and how many jobs failed."""

    text: str
    failed: int


def summarise(sweep_dir: Path, figures: Callable[[], Figures] = tuple) -> Summary:
    """Fold the results that lie in a sweep's directory and write its files.

    Args:
        sweep_dir: whose jobs' directories are read.
        figures: more of them for the page, made when it is written.
    """
    records = below(sweep_dir)
    if not records:
        return Summary("", 0)
    sweep = fold(records)
    names = _write_all(sweep, sweep_dir, figures)
    lines = ["", text(sweep), answer(sweep), *_again(sweep), f"sweep        {short(sweep_dir)}: {', '.join(names)}"]
    return Summary("\n".join(lines), sweep.statuses["failed"])


def _again(sweep: Sweep) -> list[str]:
    """How to run the best configuration by itself."""
    best = next((run for row in sweep.rows for run in row.ended), None)
    return [f"the best     {train_command(alone(best))}"] if best else []


def _write_all(sweep: Sweep, sweep_dir: Path, figures: Callable[[], Figures]) -> list[str]:
    """Write every file; one that cannot be written is told and does not keep the others back."""

    def page() -> str:
        from gradvitals.report.pages.sweep_page import sweep_page

        drawn = sweep_dir / "sweep.png"
        return sweep_page(sweep, figures(), drawn.read_bytes() if drawn.exists() else None)

    def picture() -> bytes:
        from gradvitals.report.pictures.small_multiples import small_multiples

        return small_multiples([(row.name, row.runs) for row in sweep.rows])

    contents: dict[str, Callable[[], str | bytes]] = {
        "sweep.csv": lambda: as_csv(sweep),
        "sweep.md": lambda: markdown(sweep),
        "sweep.png": picture,
        "sweep.html": page,  # contains sweep.png
    }
    return [name for name, content in contents.items() if _write(sweep_dir / name, content)]


def _write(path: Path, content: Callable[[], str | bytes]) -> bool:
    try:
        made = content()
        write_bytes(path, made if isinstance(made, bytes) else made.encode())
    except Exception as error:  # the results are there, in each job's directory
        log.warning(f"{path.name} cannot be written: {error}")
        return False
    return True


@contextmanager
def watched_sweep(
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
        raise ConfigError(f"{sweep_dir}: expected directories of {waiting} jobs; there is none. {way_out}")
    done = summary()
    _tell(done, f"try again    {_resume(sweep_dir)}" if done.failed else "")
    if done.failed:
        raise SystemExit(1)


def _tell(done: Summary, more: str) -> None:
    if done.text:
        print(visible("\n".join(part for part in (done.text, more) if part)), flush=True)


def _resume(sweep_dir: Path) -> str:
    return f"python src/train.py resume_sweep={short(sweep_dir)}"
