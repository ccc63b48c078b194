"""A table as a network is given it: fitted to its training rows, or prepared as an earlier table was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import command, setting, shortened, visible
from gradvitals.tabular.adapted import adapted, likely_sign
from gradvitals.tabular.column_names import find_column, find_columns
from gradvitals.tabular.describe import describe_column, describe_target
from gradvitals.tabular.description import ColumnDescription, Remark, TableDescription
from gradvitals.tabular.find_target import FoundTarget, find_target, instead_of_values
from gradvitals.tabular.fitted_columns import CategoryColumn, FittedColumn, NumberColumn, Scale, fit_category, fit_date
from gradvitals.tabular.kinds import (
    MOST_BYTES,
    CategoryGuess,
    DateGuess,
    Guess,
    KindOptions,
    Kinds,
    NumberGuess,
    Unused,
    kinds,
)
from gradvitals.tabular.numbers import numbers
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.read_csv import TextTable
from gradvitals.tabular.roles import Roles, TableOptions, series_of, split_by, split_table, used_rows
from gradvitals.tabular.series import Series
from gradvitals.tabular.splits import Parts
from gradvitals.tabular.suspects import suspects
from gradvitals.tabular.target import Target
from gradvitals.tabular.used_rows import UsedRows

TYPED_KINDS = ("categorical", "numeric", "dates")


@dataclass(frozen=True)
class PreparedTable:
    """A table as numbers: features ``(rows, features)``, targets ``(rows,)``, and the row numbers of the splits.

    Attributes:
        series: which rows are the steps of a series; None: rows are samples.
    """

    x: NDArray[np.float32]
    y: NDArray
    parts: Parts
    preparation: Preparation
    description: TableDescription
    differences: tuple[str, ...] = ()
    series: Series | None = None


def fit_table(table: TextTable, options: TableOptions, path: str) -> PreparedTable:
    """Finds what the columns of a table are, splits its rows, and fits the preparation to the training rows.

    Args:
        path: the file, for the description.

    Raises:
        ValueError: a column that is not there, a target or columns that cannot be read, too few rows; it says what to
            type.
    """
    try:
        roles = Roles.find(table.cells, options)
    except ValueError as error:
        raise ValueError(f"{error}{_of_header(table)}") from None
    options = _with_typed_kinds(table.cells, options)
    _refuse_typed_target(roles, options.kinds)
    likely = likely_sign(table, options.kinds)
    rows = UsedRows(table.cells).without_totals()
    found = find_target(rows.cells[roles.target], options.task, options.kinds, likely)
    rows = used_rows(rows, found, roles, options.kinds.missing)
    y = found.target.numbers(rows.cells[roles.target])
    guesses = _kinds(roles.features(rows.cells), options.kinds, table.unnamed, likely, roles)
    written, rows = rows.cells, replace(rows, cells=_with_numbers(rows.cells, guesses))
    series = series_of(y, rows.cells, roles, options, likely)
    parts = split_table(y, rows.cells, series, roles, options, found.target.classes, likely)
    targets = parts.train if series is None else series.first[series.within(parts.train)]
    target = found.target if found.target.classes else found.target.fitted_to(y[targets], options.scaling)
    preparation = _fitted(table, rows, guesses, target, parts.train, options)
    left_out = [
        ColumnDescription(name, "left out", guess.reason)
        for name, guess in guesses.columns.items()
        if isinstance(guess, Unused)
    ]
    remarks = [*table.remarks, *_of_padding(table, roles.target), *found.remarks, *guesses.remarks]
    remarks += suspects(rows.cells, guesses.columns, y, bool(target.classes), roles.drop)
    described = [describe_target(target, y), *left_out, *roles.describe()]
    description = replace(
        _description(table, rows, preparation, y, path, described),
        task_source=found.source,
        splits=_sizes(parts),
        split_by=split_by(roles, options, bool(target.classes), series, parts),
        remarks=tuple(remark for remark in remarks if remark.setting != f"data.scaling={options.scaling}"),
    )
    try:
        x = preparation.features(rows.cells)
    except ValueError:
        x = preparation.features(written)  # raises again, and names the cell as the file has it
    return PreparedTable(x, preparation.targets(rows.cells), parts, preparation, description, series=series)


def prepare_table(
    table: TextTable, preparation: Preparation, options: TableOptions, path: str, test_all: bool
) -> PreparedTable:
    """Prepares a table as an earlier one was: its columns by name, with the levels, scales and classes of that one.

    Its cells are read as ``options`` say, see :func:`adapted`.

    Args:
        test_all: whether every row is a test row; otherwise the rows are split as ``options`` say.

    Raises:
        ValueError: columns are missing, a class is new, or strings are where numbers were.
    """
    fitted, target = preparation, preparation.target
    preparation = adapted(preparation, table, options.kinds)
    preparation.require(table.cells)
    written = find_column(table.cells, target.name, "data.target")  # its blanks may differ
    table = replace(table, cells=table.cells.rename(columns={written: target.name}))
    rows = UsedRows(table.cells).without_totals(_levels(preparation))
    found = _target_of(rows.cells, preparation)
    needs_roles = not test_all or options.series != ""
    roles = Roles.find(table.cells, replace(options, target=target.name)) if needs_roles else Roles(target.name)
    rows = used_rows(rows, found, roles, preparation.missing)
    if rows.cells.empty:
        raise ValueError(
            f"data.target={visible(target.name)}: expected rows with a value; got none. "
            f"Predict them: {command('predict')}"
        )
    y = preparation.targets(rows.cells)
    x = preparation.features(rows.cells)
    every = np.arange(len(rows.cells))
    series = series_of(y, rows.cells, roles, options, "")
    whole = Parts(every, every, every)
    parts = whole if test_all else split_table(y, rows.cells, series, roles, options, target.classes, "")
    quantities = y if target.classes else target.unscaled(y)
    differences = preparation.differences(rows.cells)
    if not target.classes and (shift := target.shift(quantities)):
        differences = [*differences, f"{visible(target.name)}: {shift}"]
    description = replace(
        _description(table, rows, preparation, y, path, [describe_target(target, quantities)]),
        task_source=found.source,
        splits={"test": len(y)} if test_all else _sizes(parts),
        split_by="every row is tested" if test_all else split_by(roles, options, bool(target.classes), series, parts),
        remarks=(*table.remarks, *map(Remark, differences)),
    )
    return PreparedTable(x, y, parts, fitted, description, tuple(differences), series)


def _of_header(table: TextTable) -> str:
    """Returns what to type where the header seems to be a row: it has numbers where all rows have."""
    columns = [numbers(pd.Series([str(name), *table.cells[name]])) for name in table.cells.columns]
    written = [numbers(table.cells[name]).share == 1 for name in table.cells.columns]
    is_row = any(written) and all(
        column.share == 1 for column, is_number in zip(columns, written, strict=True) if is_number
    )
    way = f"set {setting('data.header', False)}: the columns are then 0, 1, 2 ..."
    return f". If the first line is a row, {way}" if is_row else ""


def _with_typed_kinds(cells: pd.DataFrame, options: TableOptions) -> TableOptions:
    """Returns the options with the names that the file has."""
    named = {key: find_columns(cells, getattr(options.kinds, key), f"data.{key}") for key in TYPED_KINDS}
    for name in cells.columns:
        if len(keys := [f"data.{key}" for key, names in named.items() if name in names]) > 1:
            raise ValueError(f"{' and '.join(keys)}: expected one of them for {visible(name)!r}; got both")
    return replace(options, kinds=replace(options.kinds, **named))  # type: ignore[arg-type]


def _refuse_typed_target(roles: Roles, options: KindOptions) -> None:
    """A kind that is typed for the target would have no effect; the task decides it."""
    target, tasks = roles.target, {"categorical": "multiclass", "numeric": "regression"}
    for key, names in [("drop", roles.drop), *((key, getattr(options, key)) for key in TYPED_KINDS)]:
        if target in names:
            rest = setting(f"data.{key}", [name for name in names if name != target])
            ways = f"{rest} {setting('data.task', tasks[key])}" if key in tasks else rest
            raise ValueError(f"data.{key}: expected columns besides the target; got {visible(target)!r}. Set {ways}")


def _levels(preparation: Preparation) -> dict[str, tuple[str, ...]]:
    """Returns column -> names that it has in the training table, which are no totals."""
    columns = [column for column in preparation.columns if isinstance(column, CategoryColumn)]
    return {column.name: column.levels for column in columns} | {preparation.target.name: preparation.target.classes}


def _target_of(cells: pd.DataFrame, preparation: Preparation) -> FoundTarget:
    has_value = preparation.has_target(cells)
    instead = instead_of_values(cells[preparation.target.name][~has_value])
    return FoundTarget(preparation.target, has_value, "of the training table", instead, ())


def _kinds(features: pd.DataFrame, options: KindOptions, unnamed: Sequence[str], likely: str, roles: Roles) -> Kinds:
    found = kinds(features, options, unnamed, likely, roles.drop)
    if all(isinstance(guess, Unused) for guess in found.columns.values()):
        raise ValueError(_no_feature(found.columns, options, roles))
    return found


def _with_numbers(cells: pd.DataFrame, guesses: Kinds) -> pd.DataFrame:
    """Returns the cells with the columns of numbers as numbers, so that their strings are not parsed again."""
    read = {name: guess.values for name, guess in guesses.columns.items() if isinstance(guess, NumberGuess)}
    return pd.DataFrame({name: read.get(name, cells[name]) for name in cells.columns}, cells.index) if read else cells


def _no_feature(guesses: dict[str, Guess], options: KindOptions, roles: Roles) -> str:
    """A column that is left out for a reason can be used all the same, if it is typed."""
    unused = {name: guess for name, guess in guesses.items() if isinstance(guess, Unused)}
    reasons = [f"{visible(name)}: {guess.reason}" for name, guess in unused.items()]
    reasons += [f"dropped: {', '.join(map(visible, roles.drop))}"] * bool(roles.drop)
    way = ""
    if usable := next(((name, guess.use) for name, guess in unused.items() if guess.use), None):
        name, key = usable
        way = f". To use {visible(name)} all the same: {setting(f'data.{key}', [*getattr(options, key), name])}"
    elif roles.drop:
        way = f". To use what is dropped: {setting('data.drop', [])}"
    return (
        f"data: expected columns besides the target {visible(roles.target)!r} to learn from; got none "
        f"({shortened(reasons, 10) or 'no other column'}){way}"
    )


def _fitted(
    table: TextTable, rows: UsedRows, guesses: Kinds, target: Target, train: NDArray, options: TableOptions
) -> Preparation:
    columns = [
        column
        for name, guess in guesses.columns.items()
        if (column := _fitted_column(name, guess, rows.cells[name], train, options)) is not None
    ]
    _refuse_large(columns, len(rows.cells))
    known = tuple(map(str, table.cells.columns))
    return Preparation(target, tuple(columns), known, options.kinds.missing, table.fingerprint, len(rows.cells))


def _fitted_column(
    name: str, guess: Guess, cells: pd.Series, train: NDArray, options: TableOptions
) -> FittedColumn | None:
    if isinstance(guess, NumberGuess):
        scale = Scale.fit(guess.values[train], options.scaling)
        return NumberColumn(name, guess.found.format, guess.sentinels, scale)
    if isinstance(guess, DateGuess):
        return fit_date(name, guess.moments[train], guess.found.format, options.date_features, options.scaling)
    if isinstance(guess, CategoryGuess):
        typed = options.kinds
        return fit_category(name, cells.iloc[train], typed.missing, typed.exact_labels, typed.max_levels)
    return None


def _refuse_large(columns: Sequence[FittedColumn], rows: int) -> None:
    """Refuses one-hot features that would not fit into memory, before they are made."""
    levels = sorted(len(column.levels) for column in columns if isinstance(column, CategoryColumn))
    if sum(levels) * rows * 4 <= MOST_BYTES:
        return
    most = next(
        most
        for most in range(levels[-1], 0, -1)
        if sum(min(n, most) for n in levels) * rows * 4 <= MOST_BYTES or most == 1
    )
    raise ValueError(
        f"data.max_levels: expected one-hot features of at most {MOST_BYTES // 2**20} MiB; got {sum(levels):,} levels "
        f"in {rows:,} rows, {sum(levels) * rows * 4 // 2**20:,} MiB. Set {setting('data.max_levels', most)}"
    )


def _of_padding(table: TextTable, target: str) -> list[Remark]:
    count = table.padded.get(target, 0)
    return [Remark(f"{visible(target)}: blanks around {count} of its values were ignored")] if count else []


def _description(
    table: TextTable,
    rows: UsedRows,
    preparation: Preparation,
    y: NDArray,
    path: str,
    others: Sequence[ColumnDescription],
) -> TableDescription:
    """Returns what is described alike for every table; task source, splits and remarks are left to the caller."""
    used = [describe_column(column, rows.cells[column.name], preparation) for column in preparation.columns]
    known = {each.name: each for each in [*others, *used]}
    names = map(str, table.cells.columns)
    target = preparation.target
    return TableDescription(
        path=path,
        written=table.written,
        rows=len(rows.cells),
        left_out=(*table.left_out, *rows.left_out),
        target=target.name,
        task=target.task,
        task_source="",
        classes={name: int((y == at).sum()) for at, name in enumerate(target.classes)},
        columns=tuple(
            known.get(name, ColumnDescription(name, "left out", "not used by the network")) for name in names
        ),
        splits={},
        split_by="",
    )


def _sizes(parts: Parts) -> dict[str, int]:
    return {name: len(getattr(parts, name)) for name in ("train", "val", "test")}
