"""Numbers as people write them: decimal comma, thousands, currencies, percent signs and units."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Decimal = Literal[".", ","]
DECIMALS: dict[str, Decimal] = {"point": ".", "comma": ",", ".": ".", ",": ","}
BLANKS = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE} "
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
MINUS = str.maketrans(
    dict.fromkeys("\N{MINUS SIGN}\N{EN DASH}\N{HYPHEN}\N{NON-BREAKING HYPHEN}\N{FULLWIDTH HYPHEN-MINUS}", "-")
)
SYMBOLS = "$\u00a2\u00a3\u00a4\u00a5\u0e3f\u20a0-\u20cf"  # of currencies
CURRENCY = (
    rf"(?:US|R|A|C|HK|NZ)?[{SYMBOLS}]|USD|EUR|GBP|CHF|JPY|INR|CNY|AUD|CAD|SEK|NOK|DKK|PLN|CZK|HUF|BRL|Rs\.?|kr\.?|Fr\."
)
SAME_UNIT = {
    "eur": "\u20ac",
    "euro": "\u20ac",
    "usd": "$",
    "us$": "$",
    "gbp": "\u00a3",
    "jpy": "\u00a5",
    "percent": "%",
}
EXPONENT = r"(?:[eE][-+]?\d+)?"
AFFIX = re.compile(
    rf"(?P<before>{CURRENCY})?\s*(?P<number>[-+]?(?:\d|[.,]\d)[\d.,_{BLANKS}{APOSTROPHES}]*{EXPONENT})"
    rf"(?P<after>\s*/?(?:[^\W\d_]|[%\u2030\u00b0{SYMBOLS}])\D*?(?:(?<=[^\W\d_])[23])?)?"
)
PARENTHESES = re.compile(rf"((?:{CURRENCY})?)\s*\(([^()]*)\)\s*(\D*)")  # as accountants write a negative number
SIGN_BEFORE = re.compile(rf"([-+])\s*((?:{CURRENCY}|\d|[.,]\d).*)")
SIGN_AFTER = re.compile(r"(\d[\d.,]*)-")
PLAIN = {
    ".": re.compile(rf"[-+]?(?:\d+(?:\.\d*)?|\.\d+){EXPONENT}"),
    ",": re.compile(rf"[-+]?(?:\d+(?:,\d*)?|,\d+){EXPONENT}"),
}
GROUPED = {  # a group cannot begin with 0: 0,123 has a decimal comma
    ".": re.compile(r"[-+]?(?:[1-9]\d{0,2}(?:,\d{3})+|[1-9]\d{0,2}(?:,\d{2})*,\d{3})(?:\.\d*)?"),  # the second: India
    ",": re.compile(r"[-+]?[1-9]\d{0,2}(?:\.\d{3})+(?:,\d*)?"),
}
SPACED = re.compile(  # with a plus sign and several groups it is a telephone number
    rf"(?:-?[1-9]\d{{0,2}}(?:[{BLANKS}{APOSTROPHES}_]\d{{3}})+|\+[1-9]\d{{0,2}}[{BLANKS}{APOSTROPHES}_]\d{{3}})"
    rf"(?![\d{BLANKS}{APOSTROPHES}_])"
)
GAPS = re.compile(rf"[{BLANKS}{APOSTROPHES}_]")
ADDRESS = re.compile(r"(?:\d{1,3}\.){3}\d{1,3}")  # of the internet
NEARLY_ALL = 0.8  # of the units of a column, that are the same


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Attributes:
        decimal: the sign before the decimals.
        thousands: the sign between groups of three digits; empty: none.
        unit: a currency, ``%`` or another unit beside every number; empty: none.

    Example:
        >>> NumberFormat(",", ".", "\N{EURO SIGN}").in_words()
        'decimal comma, thousands point, in \N{EURO SIGN}'
    """

    decimal: Decimal = "."
    thousands: str = ""
    unit: str = ""

    def in_words(self) -> str:
        signs = {",": "comma", ".": "point", " ": "blank", "'": "apostrophe", "_": "underscore"}
        words = ["decimal comma"] * (self.decimal == ",")
        words += [f"thousands {signs.get(self.thousands)}"] * bool(self.thousands)
        words += [f"in {self.unit}"] * bool(self.unit)
        return ", ".join(words)


@dataclass(frozen=True)
class ParsedNumbers:
    """The numbers of a column.

    Attributes:
        values: ``(rows,)``, NaN where a string is no number.
        ambiguous: a string that the other decimal sign would read as another number; empty: none.
        bare: how many strings lack the unit that the others have.
    """

    values: NDArray[np.float64]
    format: NumberFormat
    ambiguous: str = ""
    bare: int = 0

    @property
    def share(self) -> float:
        """The share of the strings that are numbers."""
        return float((~np.isnan(self.values)).mean() if len(self.values) else 0.0)


def numbers(strings: pd.Series, decimal: str = "auto", thousands: str = "auto", likely: str = "") -> ParsedNumbers:
    """Returns the numbers that strings write, all in one format.

    Args:
        strings: without those that mean missing.
        decimal: ``point``, ``comma``, or ``auto``: the sign with which more of the strings are numbers. A typed one
            decides where both do, so that one setting serves a table whose columns differ.
        thousands: the sign between groups of digits; ``auto``: any that fits ``decimal``.
        likely: the decimal sign where the strings fit both, such as ``1,234``; empty: the point.

    Example:
        >>> numbers(pd.Series(["1.234,50 EUR", "-3 EUR"])).values.tolist()
        [1234.5, -3.0]
        >>> numbers(pd.Series(["1,234", "12"])).ambiguous
        '1,234'
    """
    wanted = typed_decimal(decimal, thousands)
    first = wanted or likely or "."
    if (plain := _plain(strings, first)) is not None:
        return plain
    unique = list(pd.unique(strings))
    split = [_split(text) for text in unique]
    unit = _unit([found for found in split if found])
    cores = ["" if found is None or found[1] not in (unit, "") else found[0] for found in split]
    if cores and all(map(ADDRESS.fullmatch, cores)):
        cores = [""] * len(cores)
    signs: tuple[Decimal, Decimal] = (",", ".") if first == "," else (".", ",")
    read = {sign: [_value(core, sign, thousands) for core in cores] for sign in signs}
    best = max(signs, key=lambda sign: sum(value is not None for value in read[sign]))
    known = {text: np.nan if value is None else value for text, value in zip(unique, read[best], strict=True)}
    values = strings.map(known).to_numpy(np.float64)
    ambiguous = "" if wanted else _ambiguous(unique, cores, read, best)
    lack_unit = [text for text, found in zip(unique, split, strict=True) if unit and found and not found[1]]
    bare = int(strings.isin(lack_unit).sum())
    return ParsedNumbers(values, NumberFormat(best, _thousands(cores, best), unit), ambiguous, bare)


def typed_decimal(decimal: str, thousands: str) -> Decimal | Literal[""]:
    """Returns the decimal sign that is typed, or that the typed sign of the thousands leaves; empty: none.

    Example:
        >>> typed_decimal("comma", "auto"), typed_decimal("auto", "."), typed_decimal("auto", "auto")
        (',', ',', '')
    """
    others: dict[str, Decimal] = {".": ",", ",": "."}
    if decimal in DECIMALS:
        return DECIMALS[decimal]
    return others.get(thousands, "")


def plain_numbers(strings: pd.Series | Sequence[str]) -> NDArray[np.float64] | None:
    """Returns the numbers of strings that all write one as a computer does, ``(rows,)``; None where one does not.

    Example:
        >>> plain_numbers(["1", "-2.5e3"]).tolist(), plain_numbers(["1", ""])
        ([1.0, -2500.0], None)
    """
    try:  # it stops at the first string that is no number
        values = np.array(pd.to_numeric(np.asarray(strings, object)), np.float64)
    except (ValueError, TypeError):
        return None
    return None if np.isnan(values).any() else values


def _plain(strings: pd.Series, decimal: str) -> ParsedNumbers | None:
    """Returns the numbers of strings with no other sign than the decimal one, without a look at each string."""
    if decimal == ".":
        values = plain_numbers(strings)
        return None if values is None else ParsedNumbers(values, NumberFormat())
    texts = strings.tolist()
    if any("." in text for text in texts) or may_be_grouped(texts, ","):
        return None
    values = plain_numbers([text.replace(",", ".") for text in texts])
    if values is None:
        return None
    return ParsedNumbers(values, NumberFormat("," if any("," in text for text in texts) else "."))


def may_be_grouped(texts: Iterable[str], sign: Decimal) -> bool:
    """Returns whether a sign separates thousands in every string that has it, as far as one can see.

    Example:
        >>> may_be_grouped(["2.260", "12"], "."), may_be_grouped(["2.260", "0.125"], ".")
        (True, False)
    """
    grouped = GROUPED["," if sign == "." else "."]
    with_sign = [text for text in texts if sign in text]
    return bool(with_sign) and all(map(grouped.fullmatch, with_sign))


def _split(text: str) -> tuple[str, str] | None:
    """Returns a number without its unit, and the unit; None where it is no number."""
    text, sign = text.strip().translate(MINUS), ""
    if found := PARENTHESES.fullmatch(text):
        text, sign = f"{found[1]}{found[2].strip()}{found[3]}", "-"
    elif found := SIGN_BEFORE.fullmatch(text):
        sign, text = found[1], found[2]
    elif found := SIGN_AFTER.fullmatch(text):
        sign, text = "-", found[1]
    found = AFFIX.fullmatch(text)
    if not found or (sign and found["number"][0] in "+-"):
        return None
    unit = (found["before"] or found["after"] or "").strip()
    return sign + found["number"].strip(BLANKS), SAME_UNIT.get(unit.casefold(), unit)


def _unit(split: Sequence[tuple[str, str]]) -> str:
    """Returns the unit that is beside half of the numbers or more, if hardly any has another one."""
    units = Counter(unit for _, unit in split)
    bare = units.pop("", 0)
    usual, count = max(units.items(), key=lambda found: (found[1], found[0]), default=("", 0))
    return usual if count >= NEARLY_ALL * units.total() and count >= bare else ""


def _value(core: str, decimal: Decimal, thousands: str) -> float | None:
    if not core:
        return None
    group = "," if decimal == "." else "."
    if thousands in ("auto", group) and GROUPED[decimal].fullmatch(core):
        core = core.replace(group, "")
    elif (thousands == "auto" or GAPS.fullmatch(thousands)) and (found := SPACED.match(core)):
        core = GAPS.sub("", found[0]) + core[found.end() :]
    if not PLAIN[decimal].fullmatch(core):
        return None
    return float(core.replace(",", "."))


def _thousands(cores: Sequence[str], decimal: Decimal) -> str:
    group = "," if decimal == "." else "."
    for core in cores:
        if GROUPED[decimal].fullmatch(core):
            return group
        if found := SPACED.match(core):
            gap = GAPS.search(found[0])
            return "" if gap is None else " " if gap[0] in BLANKS else "'" if gap[0] in APOSTROPHES else "_"
    return ""


def _ambiguous(
    unique: Sequence[str], cores: Sequence[str], read: dict[Decimal, list[float | None]], best: Decimal
) -> str:
    """Returns a string that another decimal sign reads differently, if that sign reads all of them."""
    for sign, values in read.items():
        if sign != best and all(value is not None for value, core in zip(values, cores, strict=True) if core):
            pairs = zip(unique, values, read[best], strict=True)
            return next((text for text, other, value in pairs if other != value), "")
    return ""
