"""What the user typed about a table, the columns that are not simply features, and the split that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, visible
from gradvitals.tabular.column_names import find_column, find_columns
from gradvitals.tabular.dates import dates
from gradvitals.tabular.description import ColumnDescription
from gradvitals.tabular.find_target import FoundTarget
from gradvitals.tabular.kinds import KindOptions
from gradvitals.tabular.labels import canonical
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import numbers
from gradvitals.tabular.series import Series, find_series, require_one_target, with_targets_of_series
from gradvitals.tabular.splits import Parts, split_rows
from gradvitals.tabular.used_rows import UsedRows


@dataclass(frozen=True)
class TableOptions:
    """What the user typed about a table; names of columns as Hydra read them.

    Attributes:
        target: the column to predict.
        task: ``auto``, ``binary``, ``multiclass`` or ``regression``.
        drop: columns that are not used.
        kinds: how cells and columns are read.
        date_features: ``parts`` or ``age``.
        scaling: ``standard``, ``robust`` or ``raw``.
        group, time: columns by which the rows are split; empty: none.
        series: a column that names the series of which each row is a time step, in the order of ``time``, which splits
            nothing then; empty: rows are samples.
        folds, fold: of cross-validation; None: none.
    """

    target: object
    task: str = "auto"
    drop: Sequence[object] = ()
    kinds: KindOptions = field(default_factory=KindOptions)
    date_features: str = "parts"
    scaling: str = "standard"
    group: object = ""
    time: object = ""
    folds: int | None = None
    fold: int | None = None
    split_seed: int = 0
    series: object = ""


@dataclass(frozen=True)
class Roles:
    """The columns of a table that are not simply features."""

    target: str
    drop: tuple[str, ...] = ()
    group: str = ""
    time: str = ""
    series: str = ""

    @classmethod
    def find(cls, table: pd.DataFrame, options: TableOptions) -> Roles:
        group, time, series = (
            find_column(table, getattr(options, key), f"data.{key}") if getattr(options, key) != "" else ""
            for key in ("group", "time", "series")
        )
        target = find_column(table, options.target, "data.target")
        if series and len({target, time, series}) < 3:
            got = ", ".join(map(visible, (series, time, target)))
            raise ValueError(f"data.series, data.time and data.target: expected three different columns; got {got}")
        return cls(target, tuple(find_columns(table, options.drop, "data.drop")), group, time, series)

    def features(self, cells: pd.DataFrame) -> pd.DataFrame:
        others = {self.target, self.group, self.time, self.series, *self.drop}
        return cells[[name for name in cells.columns if name not in others]]

    def describe(self) -> list[ColumnDescription]:
        """Returns what becomes of these columns, without the target's."""
        found = [ColumnDescription(name, "left out", "typed in data.drop") for name in self.drop if name != self.target]
        does = "splits the rows"
        pairs = (
            (self.group, "group", does),
            (self.time, "time", "orders the steps of a series" if self.series else does),
            (self.series, "series", "names the series of a row"),
        )
        return found + [ColumnDescription(name, kind, detail) for name, kind, detail in pairs if name]


def used_rows(rows: UsedRows, found: FoundTarget, roles: Roles, missing: MissingWords) -> UsedRows:
    """Leaves out the rows that cannot be used; a row of a series has the target of the series."""
    if roles.series:
        has_value = pd.Series(found.has_value, rows.cells.index)
        rows = rows.with_values([roles.series, roles.time], missing)
        found = replace(found, has_value=has_value[rows.cells.index].to_numpy(bool))
        cells, found = with_targets_of_series(rows.cells, found, roles.series)
        rows = replace(rows, cells=cells)
    return rows.with_target(found).with_values([roles.group, roles.time], missing)


def series_of(y: NDArray, cells: pd.DataFrame, roles: Roles, options: TableOptions, likely: str) -> Series | None:
    """Returns which rows are the steps of which series; None: rows are samples."""
    if not roles.series:
        return None
    found = find_series(cells[roles.series], cells[roles.time], _order(cells[roles.time], options, likely))
    require_one_target(found, y, cells[roles.target])
    return found


def split_table(
    y: NDArray,
    cells: pd.DataFrame,
    series: Series | None,
    roles: Roles,
    options: TableOptions,
    classes: Sequence[str],
    likely: str,
) -> Parts:
    """Returns the row numbers of the splits; a series is never divided."""
    labels = np.array(classes, object)[y] if classes else y
    how: dict[str, Any] = {"seed": options.split_seed, "folds": options.folds, "fold": options.fold}
    if series is not None:
        try:
            parts = split_rows(labels[series.first], stratify=bool(classes), **how)
        except ValueError as error:
            raise ValueError(f"{error} (a series counts as one row; there are {len(series.names)})") from None
        return Parts(*map(series.rows_of, parts))
    group = cells[roles.group].map(canonical).to_numpy(object) if roles.group else None
    time = _order(cells[roles.time], options, likely) if roles.time else None
    return split_rows(labels, stratify=bool(classes), group=group, time=time, **how)


def _order(column: pd.Series, options: TableOptions, likely: str) -> NDArray:
    """Returns values by which the rows can be sorted in time."""
    found = numbers(column, options.kinds.decimal, options.kinds.thousands, likely)
    moments = dates(column, options.kinds.date_format, day_first=likely == ",")
    if moments is not None and moments.share == 1:
        return moments.values.astype(np.int64)
    if found.share == 1:
        return found.values
    raise ValueError(
        f"data.time={visible(str(column.name))}: expected dates or numbers; got {column.iloc[0]!r}. Set "
        f"data.date_format, such as {setting('data.date_format', '%d.%m.%Y')}"
    )


def split_by(roles: Roles, options: TableOptions, stratified: bool, series: Series | None, parts: Parts) -> str:
    """Returns how the rows were split, in words."""
    if series is not None:
        counts = ", ".join(str(len(series.within(part))) for part in parts)
        return f"by series of {visible(roles.series)!r}: {counts} of {len(series.names)}"
    ways = [f"by {kind} of {visible(name)!r}" for kind, name in (("time", roles.time), ("group", roles.group)) if name]
    ways = ways or ["at random, with equal shares of the classes" if stratified else "at random"]
    return ", ".join([*ways, *([f"fold {options.fold or 0} of {options.folds} is tested"] if options.folds else [])])
