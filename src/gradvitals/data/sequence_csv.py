"""Sequences from a table in long format, where each row is a time step of a series."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from numpy.typing import NDArray
from torch.nn.utils.rnn import pad_sequence

from gradvitals.data.csv import Csv
from gradvitals.data.dataset_splits import Split
from gradvitals.data.tables import tensors
from gradvitals.tabular.column_names import find_column
from gradvitals.tabular.prepared_table import PreparedTable
from gradvitals.tabular.read_csv import TextTable


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

    def prepared(self, table: TextTable) -> PreparedTable:
        for key in ("series", "time"):
            find_column(table.cells, getattr(self.options, key), f"data.{key}")
        return super().prepared(table)

    def split(self, found: PreparedTable, rows: NDArray) -> Split:
        series = found.series
        assert series is not None
        chosen = series.within(rows)
        x = pad_sequence([torch.from_numpy(found.x[series.rows[each]]) for each in chosen], batch_first=True)
        padded = tensors(x.numpy(), found.y[series.first[chosen]], found.preparation.target.task)
        return replace(padded, lengths=torch.from_numpy(series.lengths[chosen]))
