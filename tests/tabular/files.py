"""Tables as people's programs write them, and what the data module makes of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gradvitals.data.csv import Csv

ROWS = 30


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> str:
    """Writes a file of exactly this content; returns its path."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def cells(folder: Path, content: str | bytes, **options: Any) -> dict[str, list[str]]:
    """Returns the cells that are read of a file, column by column."""
    table = Csv(written(folder, content), "y", **options).text_table().cells
    return {str(name): list(table[name]) for name in table.columns}


def loaded(folder: Path, content: str | bytes, target: str = "y", **options: Any) -> Csv:
    """Returns a loaded data module; its numbers are not scaled."""
    data = Csv(written(folder, content), target, **{"scaling": "raw", **options})
    assert data.loaded
    return data


def column_file(column: Sequence[str], separator: str = ",", target: Sequence[object] = range(ROWS)) -> str:
    """Returns a file of ``x``, which repeats ``column``, and of ``y``, the number of the row."""
    file = io.StringIO()
    rows = [(column[at % len(column)], y) for at, y in enumerate(target)]
    csv.writer(file, delimiter=separator).writerows([("x", "y"), *rows])
    return file.getvalue()


def features(folder: Path, column: Sequence[str], separator: str = ",", **options: Any) -> list[list[float]]:
    """Returns the unscaled features of a column's first cells, read from a file of 30 rows."""
    data = loaded(folder, column_file(column, separator), **options)
    splits = data.loaded
    x = torch.cat([splits.train.x, splits.val.x, splits.test.x])
    y = torch.cat([splits.train.y, splits.val.y, splits.test.y])
    return x[y.argsort()][: len(column)].tolist()


def kind_of(data: Csv, name: str = "x") -> str:
    """Returns what was found of a column: number, category, date, left out."""
    assert data.description is not None
    return next(column.kind for column in data.description.columns if column.name == name)


def remarks(data: Csv) -> list[str]:
    """Returns the remarks on a table, with the settings that decide otherwise."""
    assert data.description is not None
    return list(map(str, data.description.remarks))


def frame(data: Csv) -> pd.DataFrame:
    """Returns the cells with the line numbers."""
    return data.text_table().cells
