"""A table as a network is given it: fitted to its training rows, or prepared as an earlier table was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.adapted import adapted, likely_sign
from gradvitals.tabular.column_names import find_column, find_columns
from gradvitals.tabular.dates import dates
from gradvitals.tabular.describe import describe_columns, describe_target
from gradvitals.tabular.description import ColumnDescription, Remark, TableDescription
from gradvitals.tabular.find_target import FoundTarget, find_target, instead_of_values
from gradvitals.tabular.fitted_columns import (
    CategoryColumn,
    FittedColumn,
    fit_category,
    fit_date,
    fit_number,
)
from gradvitals.tabular.kinds import (
    MOST_BYTES,
    CategoryGuess,
    ColumnsRefused,
    DateGuess,
    Guess,
    KindOptions,
    Kinds,
    NumberGuess,
    Unused,
    kinds,
)
from gradvitals.tabular.labels import canonical
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import numbers
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.read_csv import TextTable
from gradvitals.tabular.series import Series, find_series, require_one_target, with_targets_of_series
from gradvitals.tabular.splits import Parts, split_rows
from gradvitals.tabular.suspects import suspects
from gradvitals.tabular.target import Target
from gradvitals.tabular.used_rows import UsedRows

TYPED_KINDS = ("categorical", "numeric", "dates")


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


@dataclass(frozen=True)
class _Roles:
    """The columns of a table that are not simply features."""

    target: str
    drop: tuple[str, ...] = ()
    group: str = ""
    time: str = ""
    series: str = ""

    @classmethod
    def find(cls, table: pd.DataFrame, options: TableOptions) -> _Roles:
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


def fit_table(table: TextTable, options: TableOptions, path: str) -> PreparedTable:
    """Finds what the columns of a table are, splits its rows, and fits the preparation to the training rows.

    Args:
        path: the file, for the description.

    Raises:
        ValueError: a column that is not there, a target or columns that cannot be read, too few rows; it says what to
            type.
    """
    try:
        roles = _Roles.find(table.cells, options)
    except ValueError as error:
        raise ValueError(f"{error}{_of_header(table)}") from None
    options = _with_typed_kinds(table.cells, options)
    _refuse_typed_target(roles, options.kinds)
    likely = likely_sign(table, options.kinds)
    rows = UsedRows(table.cells).without_totals()
    found = find_target(rows.cells[roles.target], options.task, options.kinds, likely)
    rows = _used(rows, found, roles, options.kinds.missing)
    y = found.target.numbers(rows.cells[roles.target])
    guesses = _kinds(roles.features(rows.cells), options.kinds, table.unnamed, likely, roles)
    written, rows = rows.cells, replace(rows, cells=_with_numbers(rows.cells, guesses))
    series = _series(y, rows.cells, roles, options, likely)
    parts = _split(y, rows.cells, series, roles, options, found.target.classes, likely)
    targets = parts.train if series is None else series.first[series.within(parts.train)]
    preparation = _fitted(table, rows, roles, guesses, found.target, y[targets], parts.train, options)
    left_out = [
        ColumnDescription(name, "left out", guess.reason)
        for name, guess in guesses.columns.items()
        if isinstance(guess, Unused)
    ]
    remarks = [*table.remarks, *_of_padding(table, roles.target), *found.remarks, *guesses.remarks]
    remarks += suspects(rows.cells, guesses.columns, y, bool(found.target.classes), roles.drop)
    described = [describe_target(preparation.target, y), *left_out, *_describe_roles(roles)]
    description = replace(
        _description(table, rows, preparation, y, path, described),
        task_source=found.source,
        splits=_sizes(parts),
        split_by=_split_by(roles, options, bool(found.target.classes), series, parts),
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
    find_column(table.cells, target.name, "data.target")
    rows = UsedRows(table.cells).without_totals(_levels(preparation))
    found = _target_of(rows.cells, preparation)
    samples = not test_all or options.series != ""
    roles = _Roles.find(table.cells, replace(options, target=target.name)) if samples else _Roles(target.name)
    rows = _used(rows, found, roles, preparation.missing)
    if rows.cells.empty:
        raise ValueError(
            f"data.target={visible(target.name)}: expected rows with a value; got none. "
            "Predict them: python src/predict.py"
        )
    y = preparation.targets(rows.cells)
    x = preparation.features(rows.cells)
    every = np.arange(len(rows.cells))
    series = _series(y, rows.cells, roles, options, "")
    split = Parts(every, every, every)
    parts = split if test_all else _split(y, rows.cells, series, roles, options, target.classes, "")
    quantities = y if target.classes else target.unscaled(y)
    differences = [*preparation.differences(rows.cells), *_target_shift(target, quantities)]
    description = replace(
        _description(table, rows, preparation, y, path, [describe_target(target, quantities)]),
        task_source=found.source,
        splits={"test": len(y)} if test_all else _sizes(parts),
        split_by="every row is tested" if test_all else _split_by(roles, options, bool(target.classes), series, parts),
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


def _refuse_typed_target(roles: _Roles, options: KindOptions) -> None:
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


def _kinds(features: pd.DataFrame, options: KindOptions, unnamed: Sequence[str], likely: str, roles: _Roles) -> Kinds:
    try:
        found = kinds(features, options, unnamed, likely)
    except ColumnsRefused as error:
        them = "it" if len(error.columns) == 1 else "them"
        ways = [*error.ways, f"to leave {them} out, {setting('data.drop', [*roles.drop, *error.columns])}"]
        raise ValueError(f"data: {error}. Correct the file, or set: {'; '.join(ways)}") from None
    if all(isinstance(guess, Unused) for guess in found.columns.values()):
        raise ValueError(_no_feature(found.columns, options, roles))
    return found


def _with_numbers(cells: pd.DataFrame, guesses: Kinds) -> pd.DataFrame:
    """Returns the cells with the columns of numbers as numbers, so that their strings are not parsed again."""
    read = {name: guess.values for name, guess in guesses.columns.items() if isinstance(guess, NumberGuess)}
    return pd.DataFrame({name: read.get(name, cells[name]) for name in cells.columns}, cells.index) if read else cells


def _no_feature(guesses: dict[str, Guess], options: KindOptions, roles: _Roles) -> str:
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


def _used(rows: UsedRows, found: FoundTarget, roles: _Roles, missing: MissingWords) -> UsedRows:
    """Leaves out the rows that cannot be used; a row of a series has the target of the series."""
    if roles.series:
        has_value = pd.Series(found.has_value, rows.cells.index)
        rows = rows.with_values([roles.series, roles.time], missing)
        found = replace(found, has_value=has_value[rows.cells.index].to_numpy(bool))
        cells, found = with_targets_of_series(rows.cells, found, roles.series)
        rows = replace(rows, cells=cells)
    return rows.with_target(found).with_values([roles.group, roles.time], missing)


def _series(y: NDArray, cells: pd.DataFrame, roles: _Roles, options: TableOptions, likely: str) -> Series | None:
    if not roles.series:
        return None
    found = find_series(cells[roles.series], cells[roles.time], _order(cells[roles.time], options, likely))
    require_one_target(found, y, cells[roles.target])
    return found


def _split(
    y: NDArray,
    cells: pd.DataFrame,
    series: Series | None,
    roles: _Roles,
    options: TableOptions,
    classes: Sequence[str],
    likely: str,
) -> Parts:
    if series is not None:
        return _split_series(y[series.first], series, options, classes)
    group = cells[roles.group].map(canonical).to_numpy(object) if roles.group else None
    time = _order(cells[roles.time], options, likely) if roles.time else None
    return split_rows(
        np.array(classes, object)[y] if classes else y,
        seed=options.split_seed,
        stratify=bool(classes),
        group=group,
        time=time,
        folds=options.folds,
        fold=options.fold,
    )


def _split_series(y: NDArray, series: Series, options: TableOptions, classes: Sequence[str]) -> Parts:
    """Returns the row numbers of the splits, each of which has whole series.

    Args:
        y: targets ``(series,)``.
    """
    labels = np.array(classes, object)[y] if classes else y
    folds = {"folds": options.folds, "fold": options.fold}
    try:
        parts = split_rows(labels, seed=options.split_seed, stratify=bool(classes), **folds)  # type: ignore[arg-type]
    except ValueError as error:
        raise ValueError(f"{error} (each of {len(y)} series is a row of these)") from None
    return Parts(*map(series.rows_of, parts))


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


def _fitted(
    table: TextTable,
    rows: UsedRows,
    roles: _Roles,
    guesses: Kinds,
    target: Target,
    quantities: NDArray,
    train: NDArray,
    options: TableOptions,
) -> Preparation:
    columns = [
        column
        for name, guess in guesses.columns.items()
        if (column := _fitted_column(name, guess, rows.cells[name], train, options)) is not None
    ]
    _refuse_large(columns, len(rows.cells))
    return Preparation(
        target if target.classes else target.fitted_to(quantities, options.scaling),
        tuple(columns),
        tuple(map(str, table.cells.columns)),
        options.kinds.missing,
        table.fingerprint,
        len(rows.cells),
    )


def _fitted_column(
    name: str, guess: Guess, cells: pd.Series, train: NDArray, options: TableOptions
) -> FittedColumn | None:
    if isinstance(guess, NumberGuess):
        return fit_number(name, guess.values[train], guess.found.format, guess.sentinels, options.scaling)
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
    known = {each.name: each for each in [*others, *describe_columns(preparation.columns, rows.cells, preparation)]}
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


def _describe_roles(roles: _Roles) -> list[ColumnDescription]:
    found = [ColumnDescription(name, "left out", "typed in data.drop") for name in roles.drop if name != roles.target]
    does = "splits the rows"
    pairs = (
        (roles.group, "group", does),
        (roles.time, "time", "orders the steps of a series" if roles.series else does),
        (roles.series, "series", "names the series of a row"),
    )
    return found + [ColumnDescription(name, kind, detail) for name, kind, detail in pairs if name]


def _sizes(parts: Parts) -> dict[str, int]:
    return {name: len(getattr(parts, name)) for name in ("train", "val", "test")}


def _split_by(roles: _Roles, options: TableOptions, stratified: bool, series: Series | None, parts: Parts) -> str:
    if series is not None:
        counts = ", ".join(str(len(series.within(part))) for part in parts)
        return f"by series of {visible(roles.series)!r}: {counts} of {len(series.names)}"
    ways = [f"by {kind} of {visible(name)!r}" for kind, name in (("time", roles.time), ("group", roles.group)) if name]
    ways = ways or ["at random, with equal shares of the classes" if stratified else "at random"]
    return ", ".join([*ways, *([f"fold {options.fold or 0} of {options.folds} is tested"] if options.folds else [])])


def _target_shift(target: Target, quantities: NDArray[np.float64]) -> list[str]:
    if target.classes or (target.scale == 1 and target.center == 0):
        return []
    moved = abs(float(quantities.mean()) - target.center) / target.scale
    name = visible(target.name)
    return [f"{name}: the mean is {moved:.0f} deviations from the training rows'"] if moved >= 3 else []
