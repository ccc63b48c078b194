"""Dates as people write them, and the numbers that a network gets of them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FORMATS = (
    "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%Y", "%d.%m.%y", "%m/%d/%Y", "%d/%m/%Y", "%m/%d/%y", "%d/%m/%y", "%d-%m-%Y", "%m-%d-%Y", "%d-%m-%y",
    "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d. %B %Y",
    "%a, %d %b %Y", "%Y-%m", "%m/%Y", "%b %Y", "%B %Y",
)  # fmt: skip
OTHER_ORDER = {
    "%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y", "%d-%m-%Y": "%m-%d-%Y",
    "%d/%m/%Y": "%m/%d/%Y", "%d/%m/%y": "%m/%d/%y", "%m-%d-%Y": "%d-%m-%Y",
}  # fmt: skip
TIME = re.compile(
    r"(?P<date>.*?\d)(?:\s*[T,]\s*|\s+)(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?)"
    r"\s*(?P<zone>Z|UTC|GMT|[+-]\d{2}:?\d{2})?"
)
YEARS = (1800, 2200)  # in which eight digits are a date
PROBE = 50  # strings by which a format is excluded
PARTS, AGE = "parts", "age"
DAY = np.timedelta64(1, "D")


@dataclass(frozen=True)
class Dates:
    """The dates of a column: ``values`` ``(rows,)`` with NaT where a string is no date, and their format."""

    values: NDArray[np.datetime64]
    format: str
    ambiguous: str = ""  # the format that reads all of them too, with day and month exchanged

    @property
    def share(self) -> float:
        """The share of the strings that are dates."""
        return float((~np.isnat(self.values)).mean() if len(self.values) else 0.0)


def dates(strings: pd.Series, typed: str = "auto", day_first: bool = False) -> Dates | None:
    """Returns the dates that strings write in one format; None where no format reads most of them.

    Args:
        strings: without those that mean missing.
        typed: a format of ``strptime`` for the date (a time of day may follow it); ``auto``: the one that reads the
            most strings.
        day_first: whether ``1/2/2024`` is the first of February, where nothing decides it.

    Example:
        >>> found = dates(pd.Series(["31.01.2024", "1.2.2024 10:30"]))
        >>> found.format, str(found.values[1])
        ('%d.%m.%Y', '2024-02-01T10:30:00.000000')
    """
    unique = pd.Series(pd.unique(strings), dtype=object).astype(str)
    if not unique.str.contains(r"\d").any():
        return None
    days, seconds = _without_times(unique)
    formats = sorted(FORMATS, key=lambda name: day_first and name.startswith("%m")) if typed == "auto" else [typed]
    scored = {name: _parsed(days, name) for name in formats if typed != "auto" or _may_be(days, name)}
    if not scored:
        return None
    best = max(scored, key=lambda name: scored[name].notna().sum())
    if not scored[best].notna().any():
        return None
    moments = (scored[best] + seconds).to_numpy("datetime64[us]")
    known = dict(zip(unique, moments, strict=True))
    values = np.array([known[text] for text in strings.astype(str)], "datetime64[us]")
    other = OTHER_ORDER.get(best, "")
    is_open = typed == "auto" and other in scored and scored[other].notna().sum() == scored[best].notna().sum()
    differs = is_open and bool((scored[other] != scored[best]).any())
    return Dates(values, best, other if differs else "")


def _may_be(days: pd.Series, name: str) -> bool:
    return bool(_parsed(days.iloc[:PROBE], name).notna().mean() >= 0.5)


def _parsed(days: pd.Series, name: str) -> pd.Series:
    try:
        found = pd.to_datetime(days, format=name, errors="coerce").astype("datetime64[us]")
    except ValueError as error:
        raise ValueError(f"data.date_format: expected a format such as %d.%m.%Y; {error}") from None
    if name == "%Y%m%d":
        found = found.where(days.str.fullmatch(r"\d{8}") & found.dt.year.between(*YEARS))
    return found


def _without_times(unique: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Returns the strings without their times of day, and those times."""
    parts = unique.str.extract(rf"^{TIME.pattern}$")
    has_time = parts["time"].notna()
    days = unique.where(~has_time, parts["date"]).str.strip(" ,")
    offsets = [_time_of_day(text) if isinstance(text, str) else np.timedelta64(0, "us") for text in parts["time"]]
    return days, pd.Series(np.array(offsets, "timedelta64[us]"))


def _time_of_day(text: str) -> np.timedelta64:
    found = re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*([AaPp])?\.?[Mm]?\.?", text)
    assert found is not None
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    if found[5]:
        hours = hours % 12 + 12 * (found[5] in "pP")
    return np.timedelta64(((hours * 60 + minutes) * 60 + seconds) * 10**6, "us")


def date_features(
    values: NDArray[np.datetime64], features: str, names: Sequence[str], reference: str
) -> NDArray[np.float64]:
    """Returns the numbers of dates ``(rows, features)``, NaN where there is no date.

    Args:
        features: ``age``: days before ``reference``; ``parts``: see ``names``.
        names: which of year, month, weekday and hour; the last three as sine and cosine, so that December is beside
            January.

    Example:
        >>> date_features(np.array(["2024-01-01"], "datetime64[us]"), "age", (), "2024-01-31").tolist()
        [[30.0]]
    """
    if features == AGE:
        return ((np.datetime64(reference, "us") - values) / DAY)[:, None].astype(np.float64)
    moments = pd.Series(values).dt
    columns = {
        "year": lambda: [moments.year],
        "month": lambda: _circle((moments.month - 1) / 12),
        "weekday": lambda: _circle(moments.day_of_week / 7),
        "hour": lambda: _circle((moments.hour + moments.minute / 60) / 24),
    }
    return np.column_stack([np.asarray(column, np.float64) for name in names for column in columns[name]()])


def date_parts(values: NDArray[np.datetime64]) -> tuple[str, ...]:
    """Returns the parts of some dates that differ: year, month, weekday, hour."""
    moments = pd.Series(values).dropna().dt
    found = {"year": moments.year, "month": moments.month, "weekday": moments.day_of_week, "hour": moments.hour}
    return tuple(name for name, part in found.items() if part.nunique() > 1) or ("year",)


def _circle(turns: pd.Series) -> list[NDArray[np.float64]]:
    angle = 2 * np.pi * turns.to_numpy(np.float64)
    return [np.sin(angle), np.cos(angle)]
