"""Cells that mean a missing value: the usual words, typed ones, and numbers such as -999."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
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
NINES = tuple(  # -999, 9999, 9999.9 and the like
    sign * float(f"{'9' * digits}.{'9' * decimals}0")
    for sign in (-1, 1)
    for digits in range(2, 13)
    for decimals in range(3)
)
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
        marks = self.numbers
        if (plain := plain_numbers(strings)) is not None:
            return pd.Series(np.isin(plain, marks) if marks else np.zeros(len(plain), bool), strings.index)
        texts = strings.tolist()
        unique = list(set(texts))
        no_number = np.full(len(unique), np.nan)  # none of the usual words is one
        values = pd.to_numeric(np.array(unique, object), errors="coerce") if self.typed else no_number
        absent = {
            text
            for text, value in zip(unique, values, strict=True)
            if (_means_missing(text, meant, marks) if np.isnan(value) else value in marks)
        }
        return pd.Series([text in absent for text in texts], strings.index, dtype=bool)

    @property
    def numbers(self) -> list[float]:
        """The typed words that are numbers."""
        return [value for word in self.typed or () if (value := _number(word.strip())) is not None]


def _means_missing(text: str, meant: Set[str], marks: Sequence[float]) -> bool:
    folded = text.strip().casefold()
    return folded in meant or (bool(marks) and _number(folded) in marks)


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
