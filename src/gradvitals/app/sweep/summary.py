"""What a sweep leaves behind: sweep.csv, sweep.md, sweep.html, sweep.png, and the table in the terminal."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradvitals.app.files import write_bytes
from gradvitals.app.names import short
from gradvitals.report.records import below
from gradvitals.report.sweep import Sweep, fold
from gradvitals.report.sweep_tables import answer, as_csv, markdown, text
from gradvitals.report.words import alone, train_command

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
        from gradvitals.report.sweep_page import sweep_page

        return sweep_page(sweep, figures())

    def picture() -> bytes:
        from gradvitals.report.small_multiples import small_multiples

        return small_multiples([(row.name, row.runs) for row in sweep.rows])

    contents: dict[str, Callable[[], str | bytes]] = {
        "sweep.csv": lambda: as_csv(sweep),
        "sweep.md": lambda: markdown(sweep),
        "sweep.png": picture,
        "sweep.html": page,
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
