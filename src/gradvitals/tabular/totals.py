"""Rows below a table that sum it up, as spreadsheets have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from gradvitals.tabular.labels import canonical
from gradvitals.tabular.numbers import numbers

TOTALS = frozenset([
    "total", "totals", "grand total", "subtotal", "sum", "sums", "summe", "gesamt", "gesamtsumme", "insgesamt",
    "overall", "average", "avg", "mean", "mittelwert", "durchschnitt", "suma", "somme", "totale", "totaal",
])  # fmt: skip
MOST = 3  # rows at the end
CLOSE = 1e-6  # relative difference of a sum
COLUMNS = 2  # of sums, by which a row without a word is one


def totals_rows(cells: pd.DataFrame, levels: Mapping[str, Sequence[str]] | None = None) -> list[int]:
    """Returns the index labels of the last rows that sum up those above.

    A row does if one of its cells says so and no row above has that word there, or if two and more of its numbers are
    the sums of their columns.

    Args:
        levels: column -> names that are levels of it, such as "total" of the column "area".

    Example:
        >>> totals_rows(pd.DataFrame({"shop": ["a", "b", "Total"], "sold": ["1", "2", "3"]}))
        [2]
    """
    found: list[int] = []
    while len(found) < MOST and len(cells) - len(found) > 2:
        above, last = cells.iloc[: len(cells) - len(found) - 1], cells.iloc[len(cells) - len(found) - 1]
        if not (_says_so(above, last, levels or {}) or _sums(above, last)):
            break
        found.append(cells.index[len(cells) - len(found) - 1])
    return found[::-1]


def _says_so(above: pd.DataFrame, last: pd.Series, levels: Mapping[str, Sequence[str]]) -> bool:
    words = {name: text.casefold().rstrip(": ") for name, text in last.items()}
    return any(
        word in TOTALS
        and word not in map(canonical, levels.get(str(name), ()))
        and not (above[name].str.casefold().str.rstrip(": ") == word).any()
        for name, word in words.items()
    )


def _sums(above: pd.DataFrame, last: pd.Series) -> bool:
    equal = 0
    for name, text in last.items():
        if not text or numbers(pd.Series([text])).share < 1:
            continue
        column = numbers(pd.concat([above[name][above[name] != ""], pd.Series([text])])).values
        total = column[:-1].sum()
        if not np.isfinite(total) or len(column) < 4 or not np.isclose(total, column[-1], rtol=CLOSE, atol=0):
            return False
        equal += len(np.unique(column[:-1])) > 1
    return equal >= COLUMNS
