"""Cells that mean a missing value: the usual words, typed ones, and numbers such as -999."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

EMPTY = frozenset(  # never a value
    [
        "",
        "?",
        "-",
        "--",
        "\N{EN DASH}",
        "\N{EM DASH}",
        ".",
        "..",
        "...",
        "nan",
        "-nan",
        "<na>",
        "#n/a",
        "#na",
        "#null!",
        "#div/0!",
    ]
    + ["#value!", "#ref!", "#name?", "#num!", "(null)", "\\n"]
)
WORDS = frozenset(["na", "n/a", "n.a.", "none", "null", "nil", "k.a.", "n.d.", "missing"])  # or the name of a level
NINES = re.compile(r"-?9{2,}(?:\.0+)?")


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
        folded = strings.str.strip().str.casefold()
        meant = EMPTY | (WORDS if words else frozenset()) | {word.strip().casefold() for word in self.typed or ()}
        found = folded.isin(list(meant))
        if numbers := self.numbers:
            rest = folded.where(~found, "")
            found |= pd.to_numeric(rest, errors="coerce").isin(numbers)
        return found

    @property
    def numbers(self) -> list[float]:
        """The typed words that are numbers."""
        return [float(word) for word in self.typed or () if re.fullmatch(r"-?\d+(\.\d+)?", word.strip())]


def sentinel(values: NDArray[np.float64], strings: Iterable[str]) -> float | None:
    """Returns a number such as -999 that stands for a missing value: several cells have it, far from all others.

    Example:
        >>> strings = ["-999", "12", "15", "-999", "14"]
        >>> sentinel(np.array(strings, float), strings)
        -999.0
    """
    candidates = {float(text) for text in set(strings) if NINES.fullmatch(text)}
    for candidate in sorted(candidates):
        rest = values[np.isfinite(values) & (values != candidate)]
        count = int((values == candidate).sum())
        if len(rest) < 2 or count < (2 if candidate < 0 else 3) or (candidate > 0 and candidate < 999):
            continue
        low, high = rest.min(), rest.max()
        gap = low - candidate if candidate < 0 else candidate - high
        only_negative = candidate <= -999 and low >= 0
        if gap > 2 * (high - low) or only_negative:
            return candidate
    return None
