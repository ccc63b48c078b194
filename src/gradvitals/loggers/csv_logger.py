"""Lightning's CSV logger, with a file that survives a kill and is continued by a resumed run."""

from __future__ import annotations

import csv
import io
import math
import os
import warnings
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger

from gradvitals.results.files import write_bytes

Row = dict[str, str]


def write_whole(logger: CSVLogger, step: int | None) -> None:
    """Makes a logger write its file whole or not at all, and keep the rows of an earlier part of the run.

    Lightning deletes the file of the run before a resume; its rows, up to a step, are written back. And where a new
    column is logged, Lightning overwrites the file in place; here it is renamed into place, because a kill or a full
    disk would damage it.

    Args:
        step: the first step that a resumed run logs once more; None: a new run.
    """
    file = Path(logger.log_dir) / "metrics.csv"
    before = file.with_name("metrics.csv.before")  # alone: a kill came before it was moved back
    rows = [] if step is None else rows_before(file if file.exists() else before, step)
    if rows:
        write_bytes(before, _as_csv(rows[0], rows))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will be deleted when the new ones are saved")  # they are written back
        writer: Any = logger.experiment
    if rows:
        os.replace(before, file)
        writer.metrics_keys = list(rows[0])
    writer.save = partial(_save, writer, file)


def rows_before(file: Path, step: float = math.inf) -> list[Row]:
    """Returns the rows of smaller steps; an incomplete last row is dropped."""
    if not file.is_file():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [row for row in csv.DictReader(io.StringIO(whole)) if int(row["step"]) < step]


def _save(writer: Any, file: Path) -> None:
    """Appends what was logged, or rewrites the file where a column is new; after an error the next call retries."""
    columns = _columns(writer.metrics, writer.metrics_keys)
    try:
        if columns != writer.metrics_keys:
            rows = [*rows_before(file), *writer.metrics]
            columns = _columns(rows, columns)
            write_bytes(file, _as_csv(columns, rows))
        else:
            with file.open("a", newline="", encoding="utf-8") as lines:
                csv.DictWriter(lines, columns).writerows(writer.metrics)
    except OSError:
        writer.metrics_keys = []  # a row may be incomplete: the next call rewrites the file
        raise
    writer.metrics_keys, writer.metrics = columns, []


def _columns(rows: Iterable[Mapping[str, Any]], known: Iterable[str]) -> list[str]:
    return sorted({*known, *(key for row in rows for key in row)})


def _as_csv(columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
