"""Cells that mean a missing value: the usual words, typed ones, and numbers such as -999."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.tabular.numbers import plain_numbers

EMPTY = frozenset(  # never a value: signs, words of programs, errors of Excel in English, German, French
    ["", "?", "-", "--", "---", "\N{EN DASH}", "\N{EM DASH}", ".", "..", "...", "\N{HORIZONTAL ELLIPSIS}", ":",
     "nan", "-nan", "nat", "<na>", "(null)", "\\n", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan",
     "#n/a", "#n/a n/a", "#na", "#nv", "#n/d", "#null!", "#div/0!", "#value!", "#ref!", "#name?", "#num!",
     "#wert!", "#bezug!", "#zahl!"]
)  # fmt: skip
WORDS = frozenset(["na", "n/a", "n.a.", "none", "null", "nil", "k.a.", "n.d.", "missing"])  # or the name of a level
NINES = tuple(sign * (10.0**digits - 1) for sign in (-1, 1) for digits in range(2, 13))
LEAST = {-1.0: 2, 1.0: 3}  # cells with such a number, by its sign


@dataclass(frozen=True)
class MissingWords:
    """What means a missing value.

    Attributes:
        typed: further words or numbers; None: none was typed, and numbers such as -999 are looked for.

    Example:
        >>> words = MissingWords(("unknown", "-1"))
        >>> words.absent(pd.Series(["Unknown", "-1.0", "3", "?"])).tolist()
        [True, True, False, True]
    """

    typed: tuple[str, ...] | None = None

    def absent(self, strings: pd.Series, words: bool = True) -> pd.Series:
        """Returns which strings mean a missing value.

        Args:
            words: whether NA, None, null and the like do, which may also be the name of a level or class.
        """
        meant = EMPTY | (WORDS if words else frozenset()) | {word.strip().casefold() for word in self.typed or ()}
        values = plain_numbers(strings)
        found = np.isin(values, self.numbers)
        others = np.flatnonzero(np.isnan(values))
        rest = strings.iloc[others]
        absent = {text for text in pd.unique(rest) if self._is_absent(text, meant)}
        found[others] = rest.isin(list(absent))
        return pd.Series(found, strings.index)

    def _is_absent(self, text: str, meant: Set[str]) -> bool:
        folded = text.strip().casefold()
        return folded in meant or (bool(self.numbers) and _number(folded) in self.numbers)

    @property
    def numbers(self) -> list[float]:
        """The typed words that are numbers."""
        return [value for word in self.typed or () if (value := _number(word.strip())) is not None]


def _number(text: str) -> float | None:
    """Returns a number with a decimal point or comma; None: it is none."""
    is_number = re.fullmatch(r"[-+]?(?:\d+(?:[.,]\d*)?(?:e[-+]?\d+)?|inf(?:inity)?)", text, re.IGNORECASE)
    return float(text.replace(",", ".")) if is_number else None


def sentinels(values: NDArray[np.float64]) -> tuple[float, ...]:
    """Returns the numbers such as -999 that stand for a missing value: several cells have one, far from all others.

    Args:
        values: ``(rows,)``; NaN is missing.

    Example:
        >>> sentinels(np.array([-999.0, 12.0, 15.0, -999.0, 14.0]))
        (-999.0,)
    """
    candidates = [nines for nines in NINES if (values == nines).sum() >= LEAST[np.sign(nines)]]
    others = values[np.isfinite(values) & ~np.isin(values, candidates)]
    if len(others) < 2 or not candidates:
        return ()
    return tuple(nines for nines in candidates if _is_far(nines, float(others.min()), float(others.max())))


def _is_far(nines: float, low: float, high: float) -> bool:
    if nines > 0:
        return nines >= 999 and nines - high > 2 * (high - low)
    return low - nines > 2 * (high - low) or (nines <= -999 and low >= 0)
