"""Columns that give the target away: copies of it, and row numbers of a table that is sorted by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.description import Remark
from gradvitals.tabular.kinds import CategoryGuess, Guess, NumberGuess, Unused
from gradvitals.tabular.target import canonical_names

FEWEST = 20  # rows from which an order says something
SORTED = 0.2  # share of the class changes of shuffled rows, below which rows are sorted by class
RISING = 0.8  # rank correlation, from which rows are sorted by a quantity
SAME = 1 - 1e-9  # correlation of a copy in another unit


def suspects(
    cells: pd.DataFrame, guesses: Mapping[str, Guess], y: NDArray, is_class: bool, drop: Sequence[str]
) -> list[Remark]:
    """Returns remarks on the columns that give the target away.

    Args:
        cells: strings of the columns besides the target.
        y: class numbers or quantities, ``(rows,)``.
        drop: columns that are left out already.
    """
    copies = [name for name, guess in guesses.items() if _is_copy(cells[name], guess, y, is_class)]
    serial = [
        name
        for name, guess in guesses.items()
        if name not in copies
        and isinstance(guess, NumberGuess)
        and _counts(guess.values)
        and _tells(guess.values, y, is_class)
    ]
    how = "by class" if is_class else "by the target"
    order = "in its order the classes come in blocks" if is_class else "the target rises or falls with it"
    remarks = list(_remarks(copies, "{} the target in every row", "determines", "determine", drop))
    remarks += _remarks(serial, f"{{}} the rows, which are sorted {how}", "numbers", "number", drop)
    for name, guess in guesses.items():
        if isinstance(guess, Unused) and _tells(_order(cells[name]), y, is_class):
            text = f"{visible(name)}: left out, though it would predict the target: {order}"
            remarks.append(Remark(text))
    return remarks


def _remarks(names: Sequence[str], text: str, one: str, several: str, drop: Sequence[str]) -> Iterator[Remark]:
    if names:
        shown = shortened([visible(name) for name in names], 10)
        verb = one if len(names) == 1 else several
        yield Remark(f"{shown}: {text.format(verb)}", setting("data.drop", [*drop, *names]))


def _is_copy(cells: pd.Series, guess: Guess, y: NDArray, is_class: bool) -> bool:
    if is_class and isinstance(guess, (NumberGuess, CategoryGuess)):
        values = guess.values if isinstance(guess, NumberGuess) else canonical_names(cells).to_numpy(object)
        code = pd.factorize(values, use_na_sentinel=False)[0]
        classes = len(np.unique(y))
        if code.max() + 1 != classes:
            return False
        return len(np.unique(code * classes + y)) == classes
    if not is_class and isinstance(guess, NumberGuess):
        known = np.isfinite(guess.values)
        return bool(known.mean() > 0.5 and abs(_correlation(guess.values[known], y[known])) > SAME)
    return False


def _correlation(a: NDArray, b: NDArray) -> float:
    if len(a) < FEWEST or not a.std() or not b.std():
        return 0.0
    return float(((a - a.mean()) / a.std() * (b - b.mean()) / b.std()).mean())


def _counts(values: NDArray[np.float64]) -> bool:
    """Whether numbers count the rows: each is 1 more, or 1 less, than the one before."""
    steps = np.unique(np.diff(values))
    return len(steps) == 1 and abs(steps[0]) == 1


def _order(cells: pd.Series) -> NDArray[np.float64]:
    """Returns the numbers by which identifiers such as P0012 count; NaN where there is none."""
    return pd.to_numeric(cells.str.extract(r"(\d+)\D*$")[0], errors="coerce").to_numpy(np.float64)


def _tells(order: NDArray[np.float64], y: NDArray, is_class: bool) -> bool:
    """Whether rows in an order have their classes in blocks, or their quantities rising or falling."""
    if len(y) < FEWEST or np.isnan(order).any() or len(np.unique(order)) < 0.9 * len(order):
        return False
    if not is_class:
        ranks = pd.Series(order).rank().to_numpy(), pd.Series(y).rank().to_numpy()
        return abs(_correlation(*ranks)) > RISING
    labels = y[np.argsort(order, kind="stable")]
    shares = np.unique(y, return_counts=True)[1] / len(y)
    expected = (1 - (shares**2).sum()) * (len(y) - 1)
    return bool((labels[1:] != labels[:-1]).sum() < SORTED * expected)
