"""Lightning's CSV logger, with a file that survives a kill and goes on in a resumed run."""

from __future__ import annotations

import csv
import io
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import CSVLogger

from gradvitals.app.files import write_bytes
from gradvitals.build import build

Row = dict[str, str]


def csv_logger(spec: Mapping[str, Any], step: int | None) -> CSVLogger:
    """The logger of a spec.

    Lightning deletes the file of an earlier part; its rows, up to a step, are written back. And where a new column
    comes up, it writes the file over in place; here aside, because a kill would tear it.

    Args:
        spec: of a ``CSVLogger``.
        step: from which on the rows of an earlier part come again; None: there was none.
    """
    logger = build(spec, CSVLogger)
    file = Path(logger.log_dir) / "metrics.csv"
    before = file.with_name("metrics.csv.before")  # without the other: a kill came between the two
    rows = [] if step is None else rows_before(file if file.exists() else before, step)
    if rows:
        write_bytes(before, _as_csv(rows[0], rows))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*will be deleted when the new ones are saved")  # they are written back
        writer: Any = logger.experiment
    if rows:
        os.replace(before, file)
        writer.metrics_keys = list(rows[0])
    writer._rewrite_with_new_header = partial(_write_over, file)
    return logger


def rows_before(file: Path, step: int) -> list[Row]:
    """The rows of smaller steps; a last one that was torn is none."""
    if not file.is_file():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [row for row in csv.DictReader(io.StringIO(whole)) if int(row["step"]) < step]


def _as_csv(columns: Iterable[str], rows: Iterable[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _write_over(file: Path, columns: Sequence[str]) -> None:
    with file.open(newline="", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    write_bytes(file, _as_csv(columns, rows))
