"""Sequences from a table in long format, where each row is a time step of a series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray

from gradvitals.data.csv import METRICS, Csv
from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.tables import tensors
from gradvitals.tabular.column_names import find_column
from gradvitals.tabular.prepared_table import PreparedTable


class SequenceCsv(Csv):
    """A sequence ``(steps, features)`` for each series of a table; a tenth of them validates, a fifth tests.

    The rows of a series are its steps, sorted by time. Features are prepared as those of :class:`Csv`, by the rows of
    the training series; the columns of series and time are no features. Each series has one target, written in each of
    its rows or in some. Sequences of different lengths are packed: their padding is never computed, so that a sequence
    has the same outputs in every batch.

    Args:
        path, target: see :class:`Csv`.
        series: name of the column that names the series of a row.
        time: name of the column of times, which are dates or numbers; no time is twice in a series.
        **loader: the other arguments of :class:`Csv`, except ``group``.

    Raises:
        ValueError: what :class:`Csv` raises; a column that is missing, a time that is twice in a series, a target that
            varies within one.
    """

    sample = "series"
    needs = "data=sequence_csv needs data.path=FILE and data.target, data.series and data.time, each a COLUMN"

    def __init__(self, path: str, target: object, series: object = "", time: object = "", **loader: Any) -> None:
        if loader.get("group", "") != "":
            raise ValueError("data.group: data=sequence_csv splits by data.series alone; expected none; got one")
        super().__init__(path, target, time=time, **loader)
        self.options = replace(self.options, series=series)

    def load(self) -> Splits:
        table = self.text_table()
        for key in ("series", "time"):
            find_column(table.cells, getattr(self.options, key), f"data.{key}")
        found = self.prepared(table)
        train, val, test = (_sequences(found, part) for part in found.parts)
        target = found.preparation.target
        metrics = METRICS if target.classes else None
        return Splits(train, val, test, target.task, max(1, len(target.classes)), metrics)


def _sequences(found: PreparedTable, part: NDArray) -> Split:
    series = found.series
    assert series is not None
    chosen = series.within(part)
    flat = tensors(series.padded(found.x, chosen), found.y[series.first[chosen]], found.preparation.target.task)
    return Split(flat.x, flat.y, torch.from_numpy(series.lengths[chosen]))
