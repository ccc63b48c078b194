"""Loads any table from a CSV file: fills gaps, encodes categories one-hot, scales by training statistics."""

from __future__ import annotations

import reprlib
import warnings
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Unpack

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder

from gradvitals.data.tables import SCALINGS, scale, split_rows, tensors
from gradvitals.data.tensors import TASKS, LoaderOptions, Splits, TensorDataModule

Parts = tuple[NDArray, NDArray, NDArray]  # row numbers of training, validation and test
MAX_CATEGORIES = 100  # a column with more distinct strings is probably a name or an identifier
MAX_CLASSES = 20  # integers with more distinct values are probably a quantity


class Csv(TensorDataModule):
    """A table from a file; a stratified tenth is for validation, a fifth for test.

    Missing numbers become the training rows' median, missing strings a category of their own. Rows without a target are
    dropped.

    Args:
        path: the file, with a header line.
        target: name of the target's column.
        task: ``binary``, ``multiclass``, ``regression``, or ``auto``: two values are binary; strings and up to 20
            integers multiclass; other numbers regression.
        drop: columns to ignore.
        categorical: columns of numbers that are categories.
        scaling: ``standard`` (training statistics, also for the target of a regression) or ``raw``.
        split_seed: seed of the split.
        root: the folder of a relative ``path``; empty: the working folder.
        **loader: see :class:`TensorDataModule`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unreadable table, a missing column, a single class, strings or infinities in a numeric column.
    """

    def __init__(
        self,
        path: str,
        target: str,
        task: str = "auto",
        drop: Sequence[str] = (),
        categorical: Sequence[str] = (),
        scaling: str = "standard",
        split_seed: int = 0,
        root: str = "",
        **loader: Unpack[LoaderOptions],
    ) -> None:
        super().__init__(**loader)
        for key, value, accepted in (("task", task, ("auto", *TASKS)), ("scaling", scaling, SCALINGS)):
            if value not in accepted:
                raise ValueError(f"data.{key}: expected one of {', '.join(accepted)}; got {value!r}")
        self.path, self.target, self.task = str(Path(root, path)) if path else "", str(target), task
        self.drop, self.categorical = [str(name) for name in drop], [str(name) for name in categorical]
        self.scaling, self.split_seed = scaling, split_seed

    def load(self) -> Splits:
        table = _read(self.path)
        for key, columns in (("target", [self.target]), ("drop", self.drop), ("categorical", self.categorical)):
            _require(table, columns, f"data.{key}", self.path)
        table = table[table[self.target].notna()]  # the index still has the file's row numbers
        y, task = _target(table[self.target], self.task)
        parts = split_rows(y, seed=self.split_seed, stratify=task != "regression")
        features = table.drop(columns=[self.target, *self.drop])
        if features.shape[1] == 0:
            raise ValueError(f"data.path={self.path}: expected columns besides the target {self.target!r}; got none")
        xs = _features(features, parts, self.categorical, self.scaling)
        if task == "regression":
            ys = [column[:, 0] for column in _scaled(y[:, None], table[[self.target]], parts, self.scaling)]
        else:
            ys = [y[rows] for rows in parts]
        train, val, test = (tensors(x, y, task) for x, y in zip(xs, ys, strict=True))
        return Splits(train, val, test, task, 1 if task == "regression" else int(y.max()) + 1)


def _read(path: str) -> pd.DataFrame:
    if not path:
        raise ValueError("data=csv needs data.path=FILE and data.target=COLUMN; got no path")
    if not Path(path).is_file():
        raise FileNotFoundError(
            f"data.path: expected a CSV file; there is none at {Path(path).resolve()}. "
            "Set data.path=FILE, or data.root=DIR, the folder of a relative path"
        )
    try:
        with warnings.catch_warnings():
            # With more fields than names, pandas would use the first column as row names, or drop the last one.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, skipinitialspace=True, index_col=False, low_memory=False)
            header = pd.read_csv(path, skipinitialspace=True, header=None, nrows=1, dtype=str).iloc[0]
    except (ValueError, UnicodeDecodeError, OSError, pd.errors.ParserWarning) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"data.path={path}: expected a table of comma-separated values in UTF-8; got {first}"
        ) from None
    if table.empty:
        raise ValueError(f"data.path={path}: expected rows below the header; got none")
    table.columns = [str(name).strip() for name in table.columns]
    names = header.dropna().str.strip()
    if repeated := list(names[names.duplicated()]):
        raise ValueError(f"data.path={path}: expected columns of different names; got {repeated[0]!r} twice")
    return table


def _require(table: pd.DataFrame, columns: Sequence[str], key: str, path: str) -> None:
    for column in columns:
        if column not in table.columns:
            names = [str(name) for name in table.columns]
            close = get_close_matches(str(column), names, n=3, cutoff=0.4) or names[:10]
            wanted = f"{column!r}" if column else "no name"
            raise ValueError(f"{key}: expected a column of {path}, such as {', '.join(close)}; got {wanted}")


def _target(column: pd.Series, task: str) -> tuple[NDArray, str]:
    """Returns the targets, as class numbers or floats, and the task."""
    values = column.nunique()
    if values < 2:
        only = f"only {column.dropna().iloc[0]}" if values else "no value at all"
        raise ValueError(f"data.target={column.name}: expected at least two different values; got {only}")
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    if numeric:
        _refuse_infinite(column.to_numpy(np.float64)[:, None], column.to_frame())
    if task == "auto":
        whole = numeric and bool((column % 1 == 0).all())
        few = not numeric or (whole and values <= MAX_CLASSES)
        task = "binary" if values == 2 else "multiclass" if few else "regression"
    if task == "regression":
        if not numeric:
            raise ValueError(f"data.task=regression: expected numbers in {column.name!r}; got {_first_string(column)}")
        return column.to_numpy(np.float64), task
    if task == "binary" and values != 2:
        raise ValueError(f"data.task=binary: expected two values in {column.name!r}; got {values}")
    rare = column.value_counts()
    if rare.min() < 3:
        raise ValueError(
            f"data.target={column.name}: expected at least 3 rows of each class; {rare.idxmin()} has {rare.min()}. "
            "If it is a quantity, set data.task=regression"
        )
    return pd.factorize(column, sort=True)[0].astype(np.int64), task


def _features(table: pd.DataFrame, parts: Parts, categorical: Sequence[str], scaling: str) -> list[NDArray]:
    """Returns each split's features ``(rows, columns)``: numbers filled and scaled, then one-hot categories."""
    names = [c for c in table.columns if c in categorical or not _is_number(table[c])]
    numbers = table.drop(columns=names)
    blocks = []
    if numbers.shape[1]:
        values = numbers.to_numpy(np.float64)
        _refuse_infinite(values, numbers)
        filler = SimpleImputer(strategy="median", keep_empty_features=True).fit(values[parts[0]])
        blocks.append(_scaled(filler.transform(values), numbers, parts, scaling))
    if names:
        categories = table[names].astype(object).where(table[names].notna(), "missing").astype(str)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(categories.iloc[parts[0]])
        blocks.append([encoder.transform(categories.iloc[rows]) for rows in parts])
    return [np.hstack(columns) for columns in zip(*blocks, strict=True)]


def _is_number(column: pd.Series) -> bool:
    """Returns whether a column is numeric; raises if it is not, and cannot be a category either."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return True
    present = column.dropna()
    if all(isinstance(value, bool) for value in present):
        return False  # booleans with gaps
    numbers = pd.to_numeric(present, errors="coerce").notna().mean()
    if numbers == 1:  # integers beyond 64 bits
        return True
    if numbers >= 0.5:
        raise ValueError(
            f"data: expected numbers or gaps in column {column.name!r}; got {_first_string(present)}. "
            f"Correct the file, or set data.drop=[{column.name}] or data.categorical=[{column.name}]"
        )
    if present.nunique() > MAX_CATEGORIES:
        raise ValueError(
            f"data: expected at most {MAX_CATEGORIES} categories in column {column.name!r}; got {present.nunique()} "
            f"different strings. Ignore the column with data.drop=[{column.name}]"
        )
    return False


def _first_string(column: pd.Series) -> str:
    strings = column[pd.to_numeric(column, errors="coerce").isna()]
    strings = strings if len(strings) else column  # pandas converts booleans to numbers
    return f"{reprlib.repr(strings.iloc[0])} in line {strings.index[0] + 2}"


def _refuse_infinite(values: NDArray, table: pd.DataFrame, when: str = "") -> None:
    """Raises if one of a table's ``values``, ``(rows, columns)``, is too large for float32."""
    infinite = np.abs(values) > np.finfo(np.float32).max
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        found = table.to_numpy(np.float64)[row, column]
        raise ValueError(
            f"data: expected numbers below 1e38{when} in column {table.columns[column]!r}; got {found} in line "
            f"{table.index[row] + 2}"
        )


def _scaled(values: NDArray, table: pd.DataFrame, parts: Parts, scaling: str) -> list[NDArray]:
    scaled = scale(*(values[rows] for rows in parts), scaling=scaling)
    for rows, part in zip(parts, scaled, strict=True):
        _refuse_infinite(part, table.iloc[rows], when=" when scaled")  # where training values are all small
    return scaled
