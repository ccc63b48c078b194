"""Loads any table from a file: every kind of column is found or typed, filled, encoded and scaled by training rows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any, Unpack

import pandas as pd
from numpy.typing import NDArray

from gradvitals.data.dataset_splits import TASKS, Split, Splits
from gradvitals.data.tables import tensors
from gradvitals.data.tensors import LoaderOptions, TensorDataModule
from gradvitals.formatting import visible
from gradvitals.tabular.adapted import adapted
from gradvitals.tabular.dates import AGE, PARTS
from gradvitals.tabular.description import TableDescription
from gradvitals.tabular.fitted_columns import SCALINGS
from gradvitals.tabular.kinds import KindOptions
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import DECIMALS
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.prepared_table import PreparedTable, fit_table, prepare_table
from gradvitals.tabular.read_csv import CsvFormat, TextTable, read_csv
from gradvitals.tabular.roles import TableOptions

THOUSANDS = {"auto": "auto", "none": "", "point": ".", "comma": ",", "blank": " ", "apostrophe": "'", "underscore": "_"}
METRICS = ("acc", "f1", "auroc", "balanced_acc")  # of classes, which are seldom equally frequent in people's tables


class Csv(TensorDataModule):
    """A table from a file; a tenth of the rows is for validation, a fifth for test.

    What is not typed is found; :attr:`description` says what was. ``docs/guides/tables.md`` lists what is read how.

    Args:
        path: the file; it may be compressed by gzip, bzip2, xz or zip.
        target: name of the target's column.
        task: ``binary``, ``multiclass``, ``regression``, or ``auto``: two values are binary; strings and up to 20
            integers multiclass; other numbers regression.
        drop: columns to ignore.
        categorical: columns that are categories, although they are numbers or free text.
        numeric: columns that are numbers, although they look like codes or identifiers.
        dates: columns that are dates.
        missing: words and numbers that mean a missing value beside the usual ones; ``auto``: numbers such as -999 far
            from all others are found; an empty list: they mean themselves, and NA or None can be a class.
        target_missing: values of the target alone that mean that a row has none; those rows are left out.
        separator: a character, or comma, semicolon, tab, pipe, space; ``auto``: the one that fits.
        decimal: ``point``, ``comma`` or ``auto``.
        thousands: point, comma, blank, apostrophe, underscore, none, or ``auto``.
        encoding: a codec of Python, or ``auto``.
        comment: the character with which comment lines begin; empty: there are none.
        header: whether the first line has the names of the columns; without one they are 0, 1, 2 ...
        date_format: a format of ``strptime``, or ``auto``.
        date_features: ``parts`` (year, month, weekday, hour) or ``age`` (days before the newest training date).
        labels: ``merge``: names that differ by blanks or case are one; ``exact``: they are different.
        max_levels: of a category; the rarer ones share one.
        scaling: ``standard`` (mean and deviation), ``robust`` (median and quartiles, clipped) or ``raw``; by the
            training rows, also for the target of a regression.
        group: a column; rows of one group are in one split.
        time: a column; the oldest rows train, the newest are tested.
        folds: of cross-validation; None: none.
        fold: which fold is tested, from 0.
        split_seed: seed of the split.
        changed: ``refuse`` or ``accept`` a file that has changed since a run that is resumed was started.
        root: the folder of a relative ``path``; empty: the working folder.
        **loader: see :class:`TensorDataModule`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unreadable table, a missing column, a single class, strings or infinities in a numeric column.
    """

    sample = "rows"  # what the samples are called
    needs = "data=csv needs data.path=FILE and data.target=COLUMN"

    def __init__(
        self,
        path: str,
        target: object,
        task: str = "auto",
        drop: Sequence[object] | object = (),
        categorical: Sequence[object] | object = (),
        numeric: Sequence[object] | object = (),
        dates: Sequence[object] | object = (),
        missing: str | Sequence[object] = "auto",
        target_missing: Sequence[object] | object = (),
        separator: str = "auto",
        decimal: str = "auto",
        thousands: str = "auto",
        encoding: str = "auto",
        comment: str = "auto",
        header: bool = True,
        date_format: str = "auto",
        date_features: str = PARTS,
        labels: str = "merge",
        max_levels: int = 100,
        scaling: str = "standard",
        group: object = "",
        time: object = "",
        folds: int | None = None,
        fold: int | None = None,
        split_seed: int = 0,
        changed: str = "refuse",
        root: str = "",
        **loader: Unpack[LoaderOptions],
    ) -> None:
        super().__init__(**loader)
        accepted: dict[str, tuple[object, Sequence[str]]] = {
            "task": (task, ("auto", *TASKS)),
            "scaling": (scaling, SCALINGS),
            "decimal": (decimal, ("auto", *DECIMALS)),
            "thousands": (thousands, tuple(THOUSANDS)),
            "date_features": (date_features, (PARTS, AGE)),
            "labels": (labels, ("merge", "exact")),
            "changed": (changed, ("refuse", "accept")),
        }
        for key, (value, known) in accepted.items():
            if value not in known:
                raise ValueError(f"data.{key}: expected one of {', '.join(known)}; got {value!r}")
        self.path, self.changed = str(Path(root, Path(path).expanduser())) if path else "", changed
        self.format = CsvFormat(separator, encoding, comment, header)
        kinds = KindOptions(
            _listed(categorical),
            _listed(numeric),
            _listed(dates),
            MissingWords(None if missing == "auto" else tuple(_word(each) for each in _listed(missing))),
            tuple(_word(each) for each in _listed(target_missing)),
            decimal,
            THOUSANDS[thousands],
            date_format,
            labels == "exact",
            max_levels,
        )
        self.options = TableOptions(
            target, task, _listed(drop), kinds, date_features, scaling, group, time, folds, fold, split_seed
        )
        self.preparation: Preparation | None = None
        self.description: TableDescription | None = None
        self.differences: tuple[str, ...] = ()
        self._is_given, self._test_all = False, False

    def use(self, preparation: Preparation, test_all: bool = False) -> None:
        """Prepares the table as another one was: with its columns, levels, scales and classes.

        Args:
            preparation: of the training table.
            test_all: whether every row is tested.
        """
        self.preparation, self._is_given, self._test_all = preparation, True, test_all

    @cached_property
    def fingerprint(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self._file().read_bytes()).hexdigest()

    def read_for(self, preparation: Preparation) -> tuple[Preparation, pd.DataFrame]:
        """Returns the cells of the file, and the preparation of a training table with what is typed for this one."""
        table = self.text_table()
        return adapted(preparation, table, self.options.kinds), table.cells

    def load(self) -> Splits:
        found = self.prepared(self.text_table())
        target = found.preparation.target
        train, val, test = (self.split(found, rows) for rows in found.parts)
        metrics = METRICS if target.classes else None
        return Splits(train, val, test, target.task, max(1, len(target.classes)), metrics)

    def split(self, found: PreparedTable, rows: NDArray) -> Split:
        """Returns some rows of a prepared table as samples."""
        return tensors(found.x[rows], found.y[rows], found.preparation.target.task)

    def prepared(self, table: TextTable) -> PreparedTable:
        """Returns a table as numbers, prepared as the training table was, or else by itself."""
        if self._is_given and self.preparation is not None:
            try:
                found = prepare_table(table, self.preparation, self.options, self.path, self._test_all)
            except ValueError as error:
                raise ValueError(f"data.path={visible(self.path)}: {error}") from None
        else:
            found = fit_table(table, self.options, self.path)
        self.preparation, self.description, self.differences = found.preparation, found.description, found.differences
        return found

    def _file(self) -> Path:
        if not self.path:
            raise ValueError(f"{self.needs}; got no path")
        if not Path(self.path).is_file():
            raise FileNotFoundError(
                f"data.path: expected a CSV file; there is none at {Path(self.path).resolve()}. "
                "Set data.path=FILE, or data.root=DIR, the folder of a relative path"
            )
        return Path(self.path)

    def text_table(self) -> TextTable:
        """Reads the file as strings; the index of its cells has the line numbers."""
        file = self._file()
        try:
            return read_csv(file, self.format)
        except (ValueError, OSError) as error:
            raise ValueError(f"data.path={visible(self.path)}: {error}") from None


def _listed(value: Any) -> tuple[Any, ...]:
    """One name may be typed without brackets."""
    return tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)


def _word(value: object) -> str:
    """Hydra reads null, true and nan as other values."""
    return "null" if value is None else str(value)
