"""Writes one page about a run, or one that compares many.

  python src/report.py RUN_DIR                   RUN_DIR/report.html
  python src/report.py logs/train -o all.html    all runs in a folder
  python src/report.py SWEEP_DIR RUN_DIR         a sweep beside another run

DIR is a run directory, or a folder that contains some at any depth, such as a
sweep. The page of one run goes into its directory, that of several into the
folder that contains all of them.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from gradvitals.formatting import in_shell
from gradvitals.report.pages.phrases import PAGE
from gradvitals.report.pages.run_page import run_page
from gradvitals.report.pages.runs_page import runs_page
from gradvitals.results.record import locate, read

MANY = 10  # runs from which on reading shows its progress
T = TypeVar("T")


def main() -> None:
    """Write the page and say where it is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="DIR", help="run directories, or folders of them")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help=f"where to write the page ({PAGE})")
    arguments = parser.parse_args()
    _read_checkout()
    try:
        file = report(arguments.folders, arguments.output)
    except (ValueError, OSError) as error:
        print(f"gradvitals: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"report       {in_shell(file)} ({file.stat().st_size / 1e6:.1f} MB)")


def _read_checkout() -> None:
    from gradvitals.app.config.checkout import read_checkout  # Hydra and OmegaConf, which --help can do without

    read_checkout()


def report(folders: Iterable[Path], output: Path | None = None) -> Path:
    """Write the page of the runs in some folders; returns its file."""
    from gradvitals.app.config.remedy_overrides import with_remedy  # Hydra and OmegaConf, which --help can do without

    found = locate(folders)
    records = [read(folder) for folder in track(found, "runs")]
    file = output or folder_of(found) / PAGE
    if len(found) == 1:
        page = run_page(records[0], with_remedy)
    else:
        page = runs_page(records, with_remedy, lambda runs: track(list(runs), "curves"), file.parent)
    file.write_text(page, encoding="utf-8")
    return file


def folder_of(runs: Sequence[Path]) -> Path:
    """The folder of one run, or the one that contains several, if it is below the working folder or elsewhere."""
    if len(runs) == 1:
        return runs[0]
    here = Path.cwd()
    try:
        common = Path(os.path.commonpath([run.absolute() for run in runs]))
    except ValueError:  # several drives
        return runs[0].parent
    return runs[0].parent if common in (here, *here.parents) else common


def track(items: list[T], what: str) -> Iterable[T]:
    """The same items, with a bar in a terminal where there are many."""
    if len(items) < MANY or not sys.stderr.isatty():
        return items
    from rich.console import Console
    from rich.progress import track as bar

    return bar(items, f"{what:<12}", console=Console(stderr=True), transient=True)


if __name__ == "__main__":
    main()
