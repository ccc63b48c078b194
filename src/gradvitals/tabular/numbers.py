"""Numbers as people write them: decimal comma, thousands, currencies, percent signs and units."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Decimal = Literal[".", ","]
DECIMALS = {"point": ".", "comma": ",", ".": ".", ",": ","}
BLANKS = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE} "
APOSTROPHES = "'\N{RIGHT SINGLE QUOTATION MARK}"
MINUS = "\N{MINUS SIGN}\N{EN DASH}"
CURRENCY = r"[$\u20ac\u00a3\u00a5\u20b9\u20bd\u20a9]|USD|EUR|GBP|CHF|JPY|INR|Rs\.?|US\$|R\$|kr\.?"
EXPONENT = r"(?:[eE][-+]?\d+)?"
AFFIX = re.compile(
    rf"(?P<before>{CURRENCY})?\s*(?P<number>[-+]?(?:\d|[.,]\d)[\d.,_{BLANKS}{APOSTROPHES}]*{EXPONENT})"
    rf"(?P<after>(?:\s*[^\W\d_]|\s*[%\u2030\u00b0/$\u20ac\u00a3\u00a5])[^\d]*?\d?)?"
)
PLAIN = {
    ".": re.compile(rf"[-+]?(?:\d+(?:\.\d*)?|\.\d+){EXPONENT}"),
    ",": re.compile(rf"[-+]?(?:\d+(?:,\d*)?|,\d+){EXPONENT}"),
}
GROUPED = {
    ".": re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?|[-+]?\d{1,3}(?:,\d{2})*,\d{3}(?:\.\d+)?"),  # the second: India
    ",": re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?"),
}
SPACED = re.compile(rf"[-+]?\d{{1,3}}(?:[{BLANKS}{APOSTROPHES}_]\d{{3}})+(?![\d{BLANKS}{APOSTROPHES}_])")
GAPS = re.compile(rf"[{BLANKS}{APOSTROPHES}_]")


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
    """

    values: NDArray[np.float64]
    format: NumberFormat
    ambiguous: str = ""

    @property
    def share(self) -> float:
        """The share of the strings that are numbers."""
        return float((~np.isnan(self.values)).mean() if len(self.values) else 0.0)


def numbers(strings: pd.Series, decimal: str = "auto", thousands: str = "auto", likely: str = "") -> ParsedNumbers:
    """Returns the numbers that strings write, all in one format.

    Args:
        strings: without those that mean missing.
        decimal: ``point``, ``comma``, or ``auto``: the sign with which more of the strings are numbers.
        thousands: the sign between groups of digits; ``auto``: any that fits ``decimal``.
        likely: the decimal sign where the strings fit both, such as ``1,234``; empty: the point.

    Example:
        >>> numbers(pd.Series(["1.234,50 EUR", "-3 EUR"])).values.tolist()
        [1234.5, -3.0]
        >>> numbers(pd.Series(["1,234", "12"])).ambiguous
        '1,234'
    """
    plain = pd.to_numeric(strings, errors="coerce").to_numpy(np.float64)
    wanted = DECIMALS.get(decimal, "")
    if wanted != "," and likely != "," and not np.isnan(plain).any():
        return ParsedNumbers(plain, NumberFormat())
    unique = pd.unique(strings)
    split = [_split(text) for text in unique]
    unit = _unit([found for found in split if found])
    cores = ["" if found is None or found[1] not in (unit, "") else found[0] for found in split]
    signs: Sequence[Decimal] = (wanted,) if wanted else (",", ".") if likely == "," else (".", ",")  # type: ignore[assignment]
    read = {sign: [_value(core, sign, thousands) for core in cores] for sign in signs}
    best = max(signs, key=lambda sign: sum(value is not None for value in read[sign]))
    known = {text: np.nan if value is None else value for text, value in zip(unique, read[best], strict=True)}
    values = strings.map(known).to_numpy(np.float64)
    if not unit and not wanted and best == "." and not np.isnan(plain).any():
        return ParsedNumbers(plain, NumberFormat())
    return ParsedNumbers(values, NumberFormat(best, _thousands(cores, best), unit), _ambiguous(unique, cores, read, best))


def _split(text: str) -> tuple[str, str] | None:
    """Returns a number without its unit, and the unit; None where it is no number."""
    text = text.strip()
    for sign in MINUS:
        text = text.replace(sign, "-")
    negative = text.startswith("(") and text.endswith(")")  # as accountants write it
    text = text[1:-1] if negative else text
    before_sign = re.fullmatch(rf"([-+])\s*((?:{CURRENCY}).*)", text)
    text = before_sign[2] if before_sign else text
    found = AFFIX.fullmatch(text)
    if not found:
        return None
    sign = "-" if negative or (before_sign and before_sign[1] == "-") else ""
    if sign and found["number"][0] in "+-":
        return None
    return sign + found["number"].strip(BLANKS), (found["before"] or found["after"] or "").strip()


def _unit(split: Sequence[tuple[str, str]]) -> str:
    """Returns the unit of most numbers, if it stands beside nearly all of them."""
    units = [unit for _, unit in split]
    usual = max(sorted(set(units)), key=units.count, default="")
    return usual if units.count(usual) >= 0.5 * len(units) else ""


def _value(core: str, decimal: Decimal, thousands: str) -> float | None:
    if not core:
        return None
    group = "," if decimal == "." else "."
    if thousands in ("auto", group) and GROUPED[decimal].fullmatch(core):
        core = core.replace(group, "")
    elif thousands == "auto" or GAPS.fullmatch(thousands):
        core = SPACED.sub(lambda found: GAPS.sub("", found[0]), core, count=1)
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
