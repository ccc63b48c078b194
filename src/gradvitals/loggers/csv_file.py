"""CSV files of which every row is whole: one row per step, and new columns at any time."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gradvitals.errors import ConfigError
from gradvitals.loggers.destination import Destination
from gradvitals.results.files import write_bytes

Row = Mapping[str, Any]


class CsvFile(Destination):
    """A CSV file with one row per step; what is logged again replaces the rows of an earlier run from that step on.

    Args:
        file: its path; the folder is made.

    Raises:
        ConfigError: the file exists and has no column ``step``: it is not one of these.
        OSError: it cannot be written.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._columns: list[str] = []
        self._latest: dict[str, Any] = {}  # row
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a+", newline="", encoding="utf-8") as lines:
            lines.seek(0)
            columns = next(csv.reader(lines), [])
        if columns and "step" not in columns:
            raise ConfigError(f"logger: expected a new file, or one with a column 'step'; {file} has {columns[:3]}")

    def numbers(self, values: Mapping[str, float], step: int) -> None:
        is_new = self._latest.get("step", math.inf) < step
        row = {**(self._latest if self._latest.get("step") == step else {}), "step": step, **values}
        if is_new:
            self._columns = append_rows(self._file, [row], self._columns)
        else:
            self._columns = rewrite(self._file, [*rows_before(self._file, step), row])
        self._latest = row


def append_rows(file: Path, rows: Sequence[Row], columns: list[str]) -> list[str]:
    """Appends rows to a file, or rewrites it where a column is new.

    Args:
        columns: those of the file; empty where they are not known.

    Returns:
        The columns of the file now.
    """
    if _columns(rows, columns) != columns:
        return rewrite(file, [*rows_before(file), *rows], columns)
    _append(file, as_csv(columns, rows, header=False))
    return columns


def rewrite(file: Path, rows: Sequence[Row], columns: Iterable[str] = ()) -> list[str]:
    """Replaces a file, whole or not at all; returns its columns: these, and those of the rows."""
    columns = _columns(rows, columns)
    write_bytes(file, as_csv(columns, rows))
    return columns


def rows_before(file: Path, step: float = math.inf) -> list[dict[str, str]]:
    """Returns the rows of smaller steps; an incomplete last row is dropped."""
    if not file.is_file():
        return []
    whole, _, _ = file.read_text(encoding="utf-8").rpartition("\n")
    return [row for row in csv.DictReader(io.StringIO(whole)) if int(row["step"]) < step]


def as_csv(columns: Iterable[str], rows: Iterable[Row], header: bool = True) -> bytes:
    """Returns rows as the bytes of a CSV file."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(columns))
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _columns(rows: Iterable[Row], known: Iterable[str]) -> list[str]:
    return sorted({*known, *(key for row in rows for key in row)})


def _append(file: Path, content: bytes) -> None:
    """Appends without a buffer, so that a kill leaves whole rows; after an error the file is as it was."""
    with file.open("ab", buffering=0) as end:
        size = end.tell()
        try:
            while content:
                content = content[end.write(content) :]
        except OSError:
            end.truncate(size)
            raise
