"""A table as a network is given it: fitted to its training rows, or prepared as an earlier table was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, visible
from gradvitals.tabular.column_names import find_column, find_columns
from gradvitals.tabular.dates import dates
from gradvitals.tabular.describe import describe_columns, describe_target
from gradvitals.tabular.description import ColumnDescription, LeftOutRows, Remark, TableDescription
from gradvitals.tabular.fitted_columns import FittedColumn, fit_category, fit_date, fit_number
from gradvitals.tabular.kinds import (
    CategoryGuess,
    ColumnsRefused,
    DateGuess,
    Kinds,
    KindOptions,
    NumberGuess,
    kinds,
    likely_decimal,
)
from gradvitals.tabular.labels import canonical
from gradvitals.tabular.numbers import numbers
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.read_csv import TextTable
from gradvitals.tabular.splits import Parts, split_rows
from gradvitals.tabular.target import FoundTarget, find_target
from gradvitals.tabular.totals import totals_rows


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
        folds, fold: of cross-validation; None: none.
    """

    target: object
    task: str = "auto"
    drop: Sequence[object] = ()
    kinds: KindOptions = KindOptions()
    date_features: str = "parts"
    scaling: str = "standard"
    group: object = ""
    time: object = ""
    folds: int | None = None
    fold: int | None = None
    split_seed: int = 0


@dataclass(frozen=True)
class PreparedTable:
    """A table as numbers: features ``(rows, features)``, targets ``(rows,)``, and the row numbers of the splits."""

    x: NDArray[np.float32]
    y: NDArray
    parts: Parts
    preparation: Preparation
    description: TableDescription
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Roles:
    """The columns of a table that are not simply features."""

    target: str
    drop: tuple[str, ...]
    group: str
    time: str

    @classmethod
    def find(cls, table: pd.DataFrame, options: TableOptions) -> _Roles:
        group, time = (
            find_column(table, name, key) if name != "" else ""
            for key, name in (("data.group", options.group), ("data.time", options.time))
        )
        target = find_column(table, options.target, "data.target")
        return cls(target, tuple(find_columns(table, options.drop, "data.drop")), group, time)


def fit_table(table: TextTable, options: TableOptions, path: str) -> PreparedTable:
    """Finds what the columns of a table are, splits its rows, and fits the preparation to the training rows.

    Args:
        path: the file, for the description.

    Raises:
        ValueError: a column that is not there, a target or columns that cannot be read, too few rows; it says what to
            type.
    """
    options, roles = _resolved(table.cells, options)
    cells, left_out = _without_totals(table.cells)
    likely = likely_decimal(cells, options.kinds)
    found = find_target(cells[roles.target], options.task, options.kinds, likely)
    cells, left_out = _with_target(cells, found, left_out)
    cells, left_out = _with_values(cells, [roles.group, roles.time], options, left_out)
    target = found.target
    y = target.numbers(cells[target.name]) if target.classes else target.quantities(cells[target.name])
    features = cells.drop(
        columns=[target.name, *(name for name in {*roles.drop, roles.group, roles.time} if name in cells)]
    )
    try:
        guesses = kinds(features, options.kinds, table.unnamed, likely, y if target.classes else None)
    except ColumnsRefused as error:
        raise ValueError(_refusal(error, roles.drop)) from None
    parts = _split(y, cells, roles, options, target.classes, likely)
    columns = _fitted(features, guesses, parts.train, options)
    if not columns:
        raise ValueError(_no_feature(target.name, guesses, roles.drop))
    target = target if target.classes else target.fitted_to(y[parts.train], options.scaling)
    preparation = Preparation(
        target,
        tuple(columns),
        tuple(map(str, table.cells.columns)),
        options.kinds.missing,
        table.fingerprint,
        len(cells),
    )
    remarks = [*table.remarks, *_of_padding(table, target.name), *found.remarks, *guesses.remarks]
    remarks += [
        Remark(f"{visible(name)}: equals the target in every row", setting("data.drop", [*roles.drop, name]))
        for name in features.columns
        if features[name].equals(cells[target.name])
    ]
    roles_described = _describe_roles(roles, guesses)
    description = TableDescription(
        path,
        table.written,
        len(cells),
        (*table.left_out, *left_out),
        target.name,
        target.task,
        found.source,
        _class_counts(target.classes, y),
        _in_file_order(
            table, [describe_target(target, y), *describe_columns(columns, features, preparation), *roles_described]
        ),
        _sizes(parts),
        _split_by(roles, options, bool(target.classes)),
        tuple(remarks),
    )
    return PreparedTable(preparation.features(features), preparation.targets(cells), parts, preparation, description)


def prepare_table(
    table: TextTable, preparation: Preparation, options: TableOptions, path: str, test_all: bool
) -> PreparedTable:
    """Prepares a table as an earlier one was: its columns by name, with the levels, scales and classes of that one.

    Args:
        test_all: whether every row is a test row; otherwise the rows are split as ``options`` say.

    Raises:
        ValueError: columns are missing, a class is new, or strings are where numbers were.
    """
    target = preparation.target
    cells = table.cells
    preparation.require(cells)
    find_column(cells, target.name, "data.target")
    cells, left_out = _without_totals(cells)
    has_value = preparation.has_target(cells)
    absent = cells[target.name][~has_value].value_counts()
    found = FoundTarget(
        target, has_value, "of the training table", {repr(visible(str(text))): int(n) for text, n in absent.items()}, ()
    )
    cells, left_out = _with_target(cells, found, left_out)
    if cells.empty:
        raise ValueError(
            f"data.target={visible(target.name)}: expected rows with a value; got none. Predict them: python src/predict.py"
        )
    roles = _Roles(target.name, (), "", "")
    if not test_all:
        options, roles = _resolved(table.cells, replace(options, target=target.name))
        cells, left_out = _with_values(cells, [roles.group, roles.time], options, left_out)
    y = preparation.targets(cells)
    every = np.arange(len(cells))
    parts = Parts(every, every, every) if test_all else _split(y, cells, roles, options, target.classes, "")
    described = describe_columns(preparation.columns, cells, preparation)
    quantities = y if target.classes else target.unscaled(y)
    differences = preparation.differences(cells)
    if not target.classes and (shift := _target_shift(preparation, quantities)):
        differences.append(f"{visible(target.name)}: {shift}")
    description = TableDescription(
        path,
        table.written,
        len(cells),
        (*table.left_out, *left_out),
        target.name,
        target.task,
        found.source,
        _class_counts(target.classes, y),
        _in_file_order(table, [describe_target(target, quantities), *described]),
        {"test": len(cells)} if test_all else _sizes(parts),
        "every row is tested" if test_all else _split_by(roles, options, bool(target.classes)),
        (*table.remarks, *map(Remark, differences)),
    )
    return PreparedTable(preparation.features(cells), y, parts, preparation, description, tuple(differences))


def _resolved(cells: pd.DataFrame, options: TableOptions) -> tuple[TableOptions, _Roles]:
    """Returns the options with the names that the file has."""
    roles = _Roles.find(cells, options)
    named = {
        key: find_columns(cells, getattr(options.kinds, key), f"data.{key}")
        for key in ("categorical", "numeric", "dates")
    }
    return replace(options, kinds=replace(options.kinds, **named)), roles


def _without_totals(cells: pd.DataFrame) -> tuple[pd.DataFrame, list[LeftOutRows]]:
    lines = totals_rows(cells)
    return cells.drop(index=lines), [_left_out(cells.loc[lines], "totals of the rows above")] if lines else []


def _left_out(rows: pd.DataFrame, reason: str) -> LeftOutRows:
    shown = rows.head(3)
    examples = tuple(
        f"line {line}: {visible(', '.join(filter(None, map(str, row))))[:60]}"
        for line, row in zip(shown.index, shown.to_numpy(), strict=True)
    )
    return LeftOutRows(len(rows), reason, examples)


def _with_target(
    cells: pd.DataFrame, found: FoundTarget, left_out: list[LeftOutRows]
) -> tuple[pd.DataFrame, list[LeftOutRows]]:
    if found.has_value.all():
        return cells, left_out
    instead = tuple(f"{text} in {count} rows" for text, count in found.left_out.items())
    gone = LeftOutRows(int((~found.has_value).sum()), f"without a value of {visible(found.target.name)!r}", instead)
    return cells[found.has_value], [*left_out, gone]


def _with_values(
    cells: pd.DataFrame, names: Sequence[str], options: TableOptions, left_out: list[LeftOutRows]
) -> tuple[pd.DataFrame, list[LeftOutRows]]:
    """Returns the rows that have a value of the columns by which they are split."""
    for name in filter(None, names):
        absent = options.kinds.missing.absent(cells[name]).to_numpy(bool)
        if absent.any():
            left_out = [*left_out, _left_out(cells[absent], f"without a value of {visible(name)!r}")]
            cells = cells[~absent]
    return cells, left_out


def _split(
    y: NDArray, cells: pd.DataFrame, roles: _Roles, options: TableOptions, classes: Sequence[str], likely: str
) -> Parts:
    group = cells[roles.group].map(canonical).to_numpy(object) if roles.group else None
    time = _order(cells[roles.time], options, likely) if roles.time else None
    labels = np.array(classes, object)[y] if classes else y
    return split_rows(
        labels,
        seed=options.split_seed,
        stratify=bool(classes),
        group=group,
        time=time,
        folds=options.folds,
        fold=options.fold,
    )


def _order(column: pd.Series, options: TableOptions, likely: str) -> NDArray:
    """Returns values by which the rows can be sorted in time."""
    found = numbers(column, options.kinds.decimal, options.kinds.thousands, likely)
    moments = dates(column, options.kinds.date_format, day_first=likely == ",")
    if moments is not None and moments.share == 1:
        return moments.values.astype(np.int64)
    if found.share == 1:
        return found.values
    raise ValueError(
        f"data.time={visible(str(column.name))}: expected dates or numbers; got {column.iloc[0]!r}. Set data.date_format, such as "
        f"{setting('data.date_format', '%d.%m.%Y')}"
    )


def _fitted(features: pd.DataFrame, guesses: Kinds, train: NDArray, options: TableOptions) -> list[FittedColumn]:
    columns: list[FittedColumn] = []
    for name, guess in guesses.columns.items():
        if isinstance(guess, NumberGuess):
            columns.append(fit_number(name, guess.values[train], guess.found.format, guess.sentinels, options.scaling))
        elif isinstance(guess, DateGuess):
            columns.append(
                fit_date(name, guess.moments[train], guess.found.format, options.date_features, options.scaling)
            )
        elif isinstance(guess, CategoryGuess):
            cells, kinds = features[name].iloc[train], options.kinds
            columns.append(fit_category(name, cells, kinds.missing, kinds.exact_labels, kinds.max_levels))
    return columns


def _refusal(error: ColumnsRefused, drop: Sequence[str]) -> str:
    ways = [
        *error.ways,
        f"to leave {'it' if len(error.columns) == 1 else 'them'} out, {setting('data.drop', [*drop, *error.columns])}",
    ]
    return f"data: {error.problem}. Correct the file, or set: {'; '.join(ways)}"


def _no_feature(target: str, guesses: Kinds, drop: Sequence[str]) -> str:
    """A column that is left out for a reason can be used all the same, if it is typed."""
    reasons = "; ".join(
        f"{visible(name)}: {guess.reason}" for name, guess in guesses.columns.items() if hasattr(guess, "reason")
    )
    dropped = f"; dropped: {', '.join(map(visible, drop))}" if drop else ""
    usable = [name for name in guesses.columns]
    way = f". To use one all the same: {setting('data.categorical', usable[:1])}" if usable else ""
    return f"data: expected columns besides the target {visible(target)!r} to learn from; got none ({reasons or 'no other column'}{dropped}){way}"


def _of_padding(table: TextTable, target: str) -> list[Remark]:
    count = table.padded.get(target, 0)
    return [Remark(f"{visible(target)}: blanks around {count} of its values were ignored")] if count else []


def _describe_roles(roles: _Roles, guesses: Kinds) -> list[ColumnDescription]:
    found = [ColumnDescription(name, "left out", "typed in data.drop") for name in roles.drop]
    found += [
        ColumnDescription(name, "left out", guess.reason)
        for name, guess in guesses.columns.items()
        if hasattr(guess, "reason")
    ]
    for name, kind, detail in ((roles.group, "group", "splits the rows"), (roles.time, "time", "splits the rows")):
        if name:
            found.append(ColumnDescription(name, kind, detail))
    return found


def _in_file_order(table: TextTable, described: Sequence[ColumnDescription]) -> tuple[ColumnDescription, ...]:
    known = {column.name: column for column in described}
    return tuple(
        known.get(str(name), ColumnDescription(str(name), "left out", "not used by the network"))
        for name in table.cells.columns
    )


def _class_counts(classes: Sequence[str], y: NDArray) -> dict[str, int]:
    return {name: int((y == at).sum()) for at, name in enumerate(classes)}


def _sizes(parts: Parts) -> dict[str, int]:
    return {name: len(rows) for name, rows in parts._asdict().items()}


def _split_by(roles: _Roles, options: TableOptions, stratified: bool) -> str:
    ways = [f"by time of {visible(roles.time)!r}"] * bool(roles.time) + [
        f"by group of {visible(roles.group)!r}"
    ] * bool(roles.group)
    ways = ways or ["at random, with equal shares of the classes" if stratified else "at random"]
    return ", ".join([*ways, *([f"fold {options.fold or 0} of {options.folds} is tested"] if options.folds else [])])


def _target_shift(preparation: Preparation, quantities: NDArray[np.float64]) -> str:
    target, known = preparation.target, quantities[np.isfinite(quantities)]
    if target.scale == 1 and target.center == 0 or not len(known):
        return ""
    moved = abs(known.mean() - target.center) / target.scale
    return f"the mean is {moved:.0f} deviations from the training rows'" if moved >= 3 else ""
