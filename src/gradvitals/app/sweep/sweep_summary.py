"""The summary of a sweep: sweep.csv, sweep.md, sweep.html, sweep.png, and the table in the terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.plugins.launcher import Launcher

from gradvitals.app.sweep.progress import Progress, folders
from gradvitals.errors import ConfigError
from gradvitals.formatting import command, in_shell, typed, visible
from gradvitals.report.pages.phrases import alone
from gradvitals.report.tables.sweep import answer, as_csv, markdown, text
from gradvitals.results.aggregate import Sweep, fold
from gradvitals.results.files import write_bytes
from gradvitals.results.record import below
from gradvitals.results.status import Status
from hydra_plugins.gradvitals_launchers import Fork

log = logging.getLogger(__name__)
PAGE = "sweep.html"
Figures = Sequence[tuple[str, dict[str, Any]]]  # heading and Plotly figure


@dataclass(frozen=True)
class Summary:
    """What to print, nothing where no training ran, and how many jobs failed."""

    text: str
    failed: int


@contextmanager
def watched_sweep(
    sweep_dir: Path,
    total: int,
    pending: int,
    launcher: Launcher | None = None,
    figures: Callable[[], Figures] = tuple,
    alone: AbstractContextManager[Any] | None = None,
) -> Iterator[None]:
    """Shows the progress of the jobs; at the end, writes the sweep's files and prints its table.

    Args:
        sweep_dir: of the jobs.
        total: jobs of the sweep.
        pending: of these, to be run now.
        launcher: of the jobs.
        figures: makes more figures for the sweep's page.
        alone: a lock that is held while the files are written, where several commands share the sweep: the last one
            has seen all jobs.

    Raises:
        SystemExit: 1 where a job failed.
        ConfigError: jobs have run and there is no directory of theirs.
    """
    lock = alone or nullcontext()
    try:
        with Progress(sweep_dir, total, pending, in_thread=not isinstance(launcher, Fork)) as progress:
            if isinstance(launcher, Fork):
                launcher.meanwhile = progress.look
            yield
    except BaseException:
        with lock:
            done = summarize(sweep_dir, figures)
        _print(done, f"resume       {resume_command(sweep_dir)}")
        raise
    if pending and not folders(sweep_dir):
        remedy = "Let all machines that run jobs share the folder of hydra.sweep.dir, and the one where this was typed"
        raise ConfigError(f"{sweep_dir}: expected directories of {pending} jobs; there is none. {remedy}")
    with lock:
        done = summarize(sweep_dir, figures)
    _print(done, f"try again    {resume_command(sweep_dir)}" if done.failed else "")
    if done.failed:
        raise SystemExit(1)


def summarize(sweep_dir: Path, figures: Callable[[], Figures] = tuple) -> Summary:
    """Aggregates the results in a sweep's directory and writes its files."""
    records = below(sweep_dir)
    if not records:
        return Summary("", 0)
    sweep = fold(records)
    names = _write_all(sweep, sweep_dir, figures)
    best = next((run for row in sweep.rows for run in row.ended), None)
    again = [f"the best     {typed('train', alone(best))}"] if best else []
    page = [f"report       {in_shell(sweep_dir / PAGE)}"] if PAGE in names else []
    files = f"files        {', '.join(name for name in names if name != PAGE)}"
    lines = ["", text(sweep), answer(sweep), *again, f"sweep        {in_shell(sweep_dir)}", files, *page]
    return Summary("\n".join(lines), sweep.statuses[Status.FAILED])


def resume_command(sweep_dir: Path) -> str:
    """Returns the command that resumes a sweep."""
    return f"{command('train')} resume_sweep={in_shell(sweep_dir)}"


def _print(done: Summary, more: str) -> None:
    if done.text:
        print(visible("\n".join(part for part in (done.text, more) if part)), flush=True)


def _write_all(sweep: Sweep, sweep_dir: Path, figures: Callable[[], Figures]) -> list[str]:
    def page() -> str:
        from gradvitals.report.pages.sweep_page import sweep_page

        drawn = sweep_dir / "sweep.png"
        return sweep_page(sweep, figures(), drawn.read_bytes() if drawn.exists() else None, sweep_dir)

    def picture() -> bytes:
        from gradvitals.report.pictures.small_multiples import small_multiples

        return small_multiples([(row.name, row.runs) for row in sweep.rows])

    contents: dict[str, Callable[[], str | bytes]] = {
        "sweep.csv": lambda: as_csv(sweep),
        "sweep.md": lambda: markdown(sweep),
        "sweep.png": picture,
        PAGE: page,  # contains sweep.png
    }
    return [name for name, content in contents.items() if _is_written(sweep_dir / name, content)]


def _is_written(path: Path, content: Callable[[], str | bytes]) -> bool:
    try:
        made = content()
        write_bytes(path, made if isinstance(made, bytes) else made.encode())
    except Exception as error:  # the results are in the jobs' directories
        log.warning(f"{path.name} cannot be written: {error}")
        return False
    return True
