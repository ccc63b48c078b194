"""Any table in a CSV file: the target by name, gaps filled, categories one-hot, scaled by training rows alone."""

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
MAX_CATEGORIES = 100  # more distinct words than that look like names or numbers of rows
MAX_CLASSES = 20  # whole numbers with more distinct values than that look like a quantity


class Csv(TensorDataModule):
    """A table from a file; a stratified tenth validates, a fifth tests.

    Missing numbers become the training rows' median, missing words a category of their own. Rows without a target are
    left out.

    Args:
        path: the file, with a header line; a relative one starts at ``root``.
        target: name of the target's column.
        task: ``auto`` reads it off the target: two values are binary; words and up to 20 whole numbers multiclass;
            other numbers regression. Or ``binary``, ``multiclass``, ``regression``.
        drop: columns to leave out.
        categorical: columns of numbers that mean categories.
        scaling: ``standard`` (training statistics, a regression's target too) or ``raw``.
        split_seed: of the split alone.
        root: the folder that a relative ``path`` starts at; empty: the working folder.
        **loader: see :class:`TensorDataModule`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an unreadable table, a missing column, one class only, words or infinities in a column of numbers.
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
        table = table[table[self.target].notna()]  # the index still counts the file's rows
        y, task = _target(table[self.target], self.task)
        parts = split_rows(y, seed=self.split_seed, stratify=task != "regression")
        features = table.drop(columns=[self.target, *self.drop])
        if features.shape[1] == 0:
            raise ValueError(f"data.path={self.path}: expected columns beside the target {self.target!r}; got none")
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
            "Say where it lies by data.path=FILE, or by data.root=DIR the folder that a relative path starts at"
        )
    try:
        with warnings.catch_warnings():
            # With more fields than names, pandas would take the first column for the rows' names, or drop the last.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, skipinitialspace=True, index_col=False, low_memory=False)
            header = pd.read_csv(path, skipinitialspace=True, header=None, nrows=1, dtype=str).iloc[0]
    except (ValueError, UnicodeDecodeError, OSError, pd.errors.ParserWarning) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"data.path={path}: expected a table of comma-separated values in UTF-8; got {first}"
        ) from None
    if table.empty:
        raise ValueError(f"data.path={path}: expected rows under the header; got none")
    table.columns = [str(name).strip() for name in table.columns]
    names = header.dropna().str.strip()
    if twice := list(names[names.duplicated()]):
        raise ValueError(f"data.path={path}: expected columns of different names; got {twice[0]!r} twice")
    return table


def _require(table: pd.DataFrame, columns: Sequence[str], key: str, path: str) -> None:
    for column in columns:
        if column not in table.columns:
            names = [str(name) for name in table.columns]
            close = get_close_matches(str(column), names, n=3, cutoff=0.4) or names[:10]
            wanted = f"{column!r}" if column else "no name"
            raise ValueError(f"{key}: expected a column of {path}, such as {', '.join(close)}; got {wanted}")


def _target(column: pd.Series, task: str) -> tuple[NDArray, str]:
    """Targets as class numbers or floats, and the task."""
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
            raise ValueError(f"data.task=regression: expected numbers in {column.name!r}; got {_first_word(column)}")
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
    """Each part's features ``(rows, columns)``: numbers filled and scaled, then one-hot categories."""
    names = [c for c in table.columns if c in categorical or not _is_number(table[c])]
    numbers = table.drop(columns=names)
    blocks = []
    if numbers.shape[1]:
        values = numbers.to_numpy(np.float64)
        _refuse_infinite(values, numbers)
        filler = SimpleImputer(strategy="median", keep_empty_features=True).fit(values[parts[0]])
        blocks.append(_scaled(filler.transform(values), numbers, parts, scaling))
    if names:
        words = table[names].astype(object).where(table[names].notna(), "missing").astype(str)
        encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(words.iloc[parts[0]])
        blocks.append([encoder.transform(words.iloc[rows]) for rows in parts])
    return [np.hstack(columns) for columns in zip(*blocks, strict=True)]


def _is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers; mostly numbers with a word among them is an error, not a category."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_numeric_dtype(column):
        return True
    present = column.dropna()
    if all(isinstance(value, bool) for value in present):
        return False  # yes, no and gaps
    numbers = pd.to_numeric(present, errors="coerce").notna().mean()
    if numbers == 1:  # whole numbers beyond 64 bits
        return True
    if numbers >= 0.5:
        raise ValueError(
            f"data: expected numbers or gaps in column {column.name!r}; got {_first_word(present)}. "
            f"Mend the file, or set data.drop=[{column.name}] or data.categorical=[{column.name}]"
        )
    if present.nunique() > MAX_CATEGORIES:
        raise ValueError(
            f"data: column {column.name!r} holds {present.nunique()} different words; at most {MAX_CATEGORIES} make "
            f"categories. Leave it out by data.drop=[{column.name}]"
        )
    return False


def _first_word(column: pd.Series) -> str:
    words = column[pd.to_numeric(column, errors="coerce").isna()]
    words = words if len(words) else column  # true and false count as numbers to pandas
    return f"{reprlib.repr(words.iloc[0])} in line {words.index[0] + 2}"


def _refuse_infinite(values: NDArray, table: pd.DataFrame, when: str = "") -> None:
    """Numbers that float32 cannot hold count as infinite; ``values`` are the table's ``(rows, columns)``."""
    infinite = np.abs(values) > np.finfo(np.float32).max
    if infinite.any():
        row, column = np.argwhere(infinite)[0]
        found = table.to_numpy(np.float64)[row, column]
        raise ValueError(
            f"data: expected numbers below 1e38{when} in column {table.columns[column]!r}; got {found} in line "
            f"{table.index[row] + 2}"
        )


def _scaled(values: NDArray, table: pd.DataFrame, parts: Parts, scaling: str) -> list[NDArray]:
    """Each part's numbers ``(rows, columns)``; beside small training rows another's number may get too large."""
    scaled = scale(*(values[rows] for rows in parts), scaling=scaling)
    for rows, part in zip(parts, scaled, strict=True):
        _refuse_infinite(part, table.iloc[rows], when=" when scaled")
    return scaled
