"""Names of classes and levels: those that differ by blanks or case are one."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from gradvitals.formatting import shortened, visible

NEGATIVE = re.compile(  # the class that is not the positive one
    r"n|no|non|not|none|null|false|f|nein|kein|negative|neg|off|absent|healthy|normal|benign|good|ham|without|-|\u2717|\u2718"
    r"|(?:no|not|non|kein|ohne|without)[\s_-].*"
)
PLAIN_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?")


def as_strings(column: pd.Series) -> pd.Series:
    """Returns a column of any type as stripped strings, ``""`` where a value is missing.

    Example:
        >>> as_strings(pd.Series([1.0, None, 2.5])).tolist()
        ['1', '', '2.5']
    """
    if pd.api.types.is_bool_dtype(column):
        return column.astype(object).map(str).where(column.notna(), "")
    if pd.api.types.is_numeric_dtype(column):
        return column.map(lambda value: "" if pd.isna(value) else canonical_number(float(value)))
    values = column.astype(object).tolist()
    if all(type(value) is str for value in values):  # as they come from a file
        return pd.Series([value.strip() for value in values], column.index, object, column.name)
    return column.astype(object).map(lambda value: "" if pd.isna(value) else str(value).strip())


def counted_names(strings: pd.Series) -> list[str]:
    """Returns each of some strings with its rows, the most frequent first.

    Example:
        >>> counted_names(pd.Series(["a", "b", "a"]))
        ["'a' (2 rows)", "'b' (1 row)"]
    """
    counts = strings.value_counts().items()
    return [f"{visible(str(name))!r} ({count} {'row' if count == 1 else 'rows'})" for name, count in counts]


def canonical_number(value: float) -> str:
    """Returns a number as it is named: without decimals where it has none."""
    return str(int(value)) if np.isfinite(value) and value == int(value) and abs(value) < 1e15 else repr(float(value))


def canonical(text: str, exact: bool = False) -> str:
    """Returns what is equal for two spellings of one name.

    Args:
        exact: whether blanks inside, and case, distinguish names.

    Example:
        >>> canonical(" Yes,  please "), canonical("1.0"), canonical("007")
        ('yes, please', '1', '007')
    """
    if PLAIN_NUMBER.fullmatch(text):
        return canonical_number(float(text))
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)  # a letter and its accent may be two characters
    return text.strip() if exact else " ".join(text.split()).casefold()


def spellings(strings: pd.Series, exact: bool = False) -> dict[str, dict[str, int]]:
    """Returns canonical name -> spelling -> rows, the most frequent spelling first."""
    found: dict[str, dict[str, int]] = {}
    for text, count in Counter(strings).most_common():
        found.setdefault(canonical(text, exact), {})[text] = count
    return found


def merged(found: Mapping[str, Mapping[str, int]]) -> str:
    """Returns in words which spellings were taken for one name; empty: none.

    Example:
        >>> merged({"yes": {"yes": 3, "Yes": 1}, "no": {"no": 2}})
        "'yes' = 'Yes'"
    """
    several = [
        " = ".join(repr(visible(text)) for text in texts)
        for texts in found.values()
        if len(texts) > 1 and not all(map(PLAIN_NUMBER.fullmatch, texts))  # 1 and 1.0 differ by zeros alone
    ]
    return shortened(several, 5)


def ordered(names: Iterable[str]) -> list[str]:
    """Returns class names in their order: numbers by size, no before yes, others by the alphabet.

    Example:
        >>> ordered(["10", "9"]), ordered(["ja", "nein"])
        (['9', '10'], ['nein', 'ja'])
    """
    names = list(names)
    if all(map(PLAIN_NUMBER.fullmatch, names)):
        return sorted(names, key=float)
    if len(names) == 2 and sum(map(_is_negative, names)) == 1:
        return sorted(names, key=_is_negative, reverse=True)
    return sorted(names, key=lambda name: (name.casefold(), name))


def _is_negative(name: str) -> bool:
    return NEGATIVE.fullmatch(name.casefold()) is not None
