"""Tables in long format: each row is a time step of a series, and each series has one target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import visible
from gradvitals.tabular.find_target import FoundTarget, instead_of_values
from gradvitals.tabular.labels import canonical


@dataclass(frozen=True)
class Series:
    """Which rows of a table are the steps of each series.

    Attributes:
        names: of the series, in the order of their first rows in the file.
        rows: row numbers of each series, the earliest first.
    """

    names: tuple[str, ...]
    rows: tuple[NDArray, ...]

    @property
    def lengths(self) -> NDArray:
        """Steps of each series."""
        return np.array([len(each) for each in self.rows])

    @property
    def first(self) -> NDArray:
        """The row number of each series' earliest step."""
        return np.array([each[0] for each in self.rows])

    def rows_of(self, chosen: NDArray) -> NDArray:
        """Returns the row numbers of some series by their numbers."""
        return np.concatenate([self.rows[each] for each in chosen])

    def within(self, rows: NDArray) -> NDArray:
        """Returns the numbers of the series that some rows are, which are whole series.

        Example:
            >>> Series(("a", "b"), (np.array([1, 0]), np.array([2]))).within(np.array([2]))
            array([1])
        """
        return np.flatnonzero(np.isin(self.first, rows))


def find_series(series: pd.Series, time: pd.Series, moments: NDArray) -> Series:
    """Finds the rows of each series and sorts them by time.

    Args:
        series, time: the cells; the index has the line numbers.
        moments: the times as numbers, ``(rows,)``.

    Raises:
        ValueError: a series has one time in several rows.

    Example:
        >>> cells = pd.DataFrame({"id": ["b", "a", "b"], "t": ["2", "1", "1"]}, index=[2, 3, 4])
        >>> find_series(cells["id"], cells["t"], np.array([2, 1, 1])).rows
        (array([2, 0]), array([1]))
    """
    code, names = pd.factorize(series.map(canonical).to_numpy(object))
    order = np.lexsort((moments, code))
    same = (np.diff(code[order]) == 0) & (np.diff(moments[order]) == 0)
    if same.any():
        pair = order[same.argmax() : same.argmax() + 2]
        name = visible(str(series.iloc[pair[0]]))
        lines = " and ".join(str(line) for line in sorted(series.index[pair]))
        raise ValueError(
            f"data.time={visible(str(time.name))}: expected each time once in a series; got {time.iloc[pair[0]]!r} "
            f"twice in series {name!r}, lines {lines}. Leave one of them out, or name the series more finely"
        )
    ends = np.flatnonzero(np.diff(code[order])) + 1
    return Series(tuple(map(str, names)), tuple(np.split(order, ends)))


def with_targets_of_series(cells: pd.DataFrame, found: FoundTarget, series: str) -> tuple[pd.DataFrame, FoundTarget]:
    """Gives rows without a target that of their series, as where it is written in one row of each.

    Args:
        series: name of the column that names the series.

    Example:
        >>> from gradvitals.tabular.target import Target
        >>> cells = pd.DataFrame({"id": ["a", "a", "b"], "y": ["", "yes", ""]})
        >>> found = FoundTarget(Target("y", "binary"), np.array([False, True, False]), "", {"an empty cell": 2}, ())
        >>> filled, found = with_targets_of_series(cells, found, "id")
        >>> filled["y"].tolist(), found.has_value.tolist(), found.left_out
        (['yes', 'yes', ''], [True, True, False], {'an empty cell': 1})
    """
    column = cells[found.target.name]
    of_series = column.where(found.has_value).groupby(cells[series].map(canonical)).transform("first")
    has_value = of_series.notna().to_numpy(bool)
    filled = column.where(found.has_value, of_series.where(has_value, column))
    found = replace(found, has_value=has_value, left_out=instead_of_values(column[~has_value]))
    return cells.assign(**{found.target.name: filled}), found


def require_one_target(series: Series, y: NDArray, column: pd.Series) -> None:
    """Raises if a target varies within a series.

    Args:
        y: targets ``(rows,)`` as numbers.
        column: as the file writes them; the index has the line numbers.

    Raises:
        ValueError: it names the series, two values and their lines.
    """
    for name, rows in zip(series.names, series.rows, strict=True):
        others = rows[y[rows] != y[rows[0]]]
        if len(others):
            values = [f"{visible(str(column.iloc[at]))!r} in line {column.index[at]}" for at in (rows[0], others[0])]
            raise ValueError(
                f"data.target={visible(str(column.name))}: expected one value in each series; got "
                f"{' and '.join(values)} of series {visible(name)!r}. A series has one target: write it, such as the "
                "value after its last step, into a column of its own"
            )
