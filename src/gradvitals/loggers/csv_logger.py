"""Lightning's CSV logger, with a file that survives a kill and is continued by a resumed run."""

from __future__ import annotations

import os
import warnings
from functools import partial
from pathlib import Path
from typing import Any

from gradvitals.loggers.csv_file import append_rows, as_csv, rows_before
from gradvitals.results.files import write_bytes


def write_whole(logger: Any, step: int | None) -> None:
    """Makes a logger write its file whole or not at all, and keep the rows of an earlier part of the run.

    Lightning deletes the file of the run before a resume; its rows, up to a step, are written back. And where a new
    column is logged, Lightning overwrites the file in place; here it is renamed into place, because a kill or a full
    disk would damage it.

    Args:
        logger: Lightning's ``CSVLogger``.
        step: the first step that a resumed run logs once more; None: a new run.
    """
    file = Path(logger.log_dir) / "metrics.csv"
    before = file.with_name("metrics.csv.before")  # alone: a kill came before it was moved back
    rows = [] if step is None else rows_before(file if file.exists() else before, step)
    if rows:
        write_bytes(before, as_csv(rows[0], rows))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will be deleted when the new ones are saved")  # they are written back
        writer: Any = logger.experiment
    if rows:
        os.replace(before, file)
        writer.metrics_keys = list(rows[0])
    writer.save = partial(_save, writer, file)


def _save(writer: Any, file: Path) -> None:
    """Appends what was logged, or rewrites the file where a column is new; after an error the next call retries."""
    try:
        writer.metrics_keys = append_rows(file, writer.metrics, writer.metrics_keys)
    except OSError:
        writer.metrics_keys = []  # the next call rewrites the file
        raise
    writer.metrics = []
