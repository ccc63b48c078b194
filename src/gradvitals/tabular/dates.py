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
    "%m-%d-%y", "%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%d-%B-%Y",
    "%d/%b/%Y", "%Y-%b-%d", "%Y %b %d", "%Y-%m", "%Y/%m", "%m/%Y", "%b %Y", "%B %Y", "%b-%Y", "%b-%y",
)  # fmt: skip
OTHER_ORDER = {"%m/%d/%Y": "%d/%m/%Y", "%m/%d/%y": "%d/%m/%y", "%d-%m-%Y": "%m-%d-%Y", "%d-%m-%y": "%m-%d-%y"}
OTHER_ORDER |= {other: name for name, other in OTHER_ORDER.items()}
NUMBERS_TOO = ("%Y%m%d", "%Y-%m", "%Y/%m", "%m/%Y")  # codes and fractions may look like these
LAST_OF_TWO_DIGITS = 2040  # the year that two digits mean at most
YEARS = (1800, 2200)  # in which they are dates
TIME = re.compile(
    r"(?P<date>.*?\d)(?:[ ]*[T,:][ ]*|[ ]+)(?P<time>\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:[ ]*[AaPp]\.?[Mm]\.?)?)"
    r"[ ]*(?P<zone>[A-Za-z]{1,5}|[+-]\d{2}(?::?\d{2})?)?"
)
CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d+))?)?\s*([AaPp])?\.?[Mm]?\.?")
UTC = ("Z", "UTC", "GMT")
MIDNIGHT, NO_TIME = np.timedelta64(0, "us"), np.timedelta64("NaT", "us")
ORNAMENTS = (  # what people add to dates: a weekday, 1st, Jan., a comma after the day
    (re.compile(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*\.?,?\s+", re.IGNORECASE), ""),
    (re.compile(r"(?<=\d)(?:st|nd|rd|th)\b|(?<=[A-Za-z])\.|,(?=\s)|(?<=\d)\.(?=\s)", re.IGNORECASE), ""),
    (re.compile(r"\s+"), " "),
)
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
    if typed != "auto":
        found = _parsed(unique, typed)
        if found.isna().any():  # of others, the time of day follows it
            days, times = _without_times(unique)
            found = found.fillna(_parsed(days, typed) + times)
        return Dates(_spread(strings, unique, found), typed) if found.notna().any() else None
    probe = _without_times(unique.iloc[:PROBE])[0]
    names = sorted(FORMATS, key=lambda name: day_first and name.startswith("%m"))
    names = [name for name in names if _parsed(probe, name).notna().mean() >= 0.5]
    if not names:
        return None
    days, times = _without_times(unique)
    scored = {name: _parsed(days, name) for name in names}
    counts = {name: int(found.notna().sum()) for name, found in scored.items()}
    best = max(names, key=lambda name: counts[name])
    if not counts[best]:
        return None
    other = OTHER_ORDER.get(best, "")
    is_open = counts.get(other) == counts[best] and bool((scored[other] != scored[best]).any())
    return Dates(_spread(strings, unique, scored[best] + times), best, other if is_open else "")


def _spread(strings: pd.Series, unique: pd.Series, found: pd.Series) -> NDArray[np.datetime64]:
    """Returns what was found for the different strings, for each of ``strings``."""
    return found.set_axis(unique).reindex(strings.astype(str)).to_numpy("datetime64[us]")


def _parsed(days: pd.Series, name: str) -> pd.Series:
    try:
        found = pd.to_datetime(days, format=name, errors="coerce", utc="%z" in name)
    except ValueError as error:
        raise ValueError(f"data.date_format: expected a format such as %d.%m.%Y; {error}") from None
    found = (found.dt.tz_localize(None) if "%z" in name else found).astype("datetime64[us]")
    if "%y" in name:  # people are born in 1945 and not in 2045
        found = found.where(~(found.dt.year > LAST_OF_TWO_DIGITS), found - pd.DateOffset(years=100))
    if name in NUMBERS_TOO:
        digits = days.str.count(r"\d")
        found = found.where(found.dt.year.between(*YEARS) & (digits == 8 if name == "%Y%m%d" else digits >= 5))
    return found


def _without_times(unique: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Returns the strings without their times of day, and those times; NaT where there is no such time.

    The time of a zone is the local one, as the column writes it; only where zones differ it is that of UTC.
    """
    parts = unique.str.extract(rf"^{TIME.pattern}$")
    days = unique.where(parts["time"].isna(), parts["date"])
    for pattern, instead in ORNAMENTS:
        days = days.str.replace(pattern, instead, regex=True)
    times = np.array([_time_of_day(text) if isinstance(text, str) else MIDNIGHT for text in parts["time"]])
    zones = parts["zone"].where(parts["time"].notna())
    if zones.nunique() > 1:
        ahead = {zone: _ahead(zone) for zone in zones.dropna().unique()}
        times -= np.array([ahead.get(zone, MIDNIGHT) for zone in zones])
    return days.str.strip(" ,"), pd.Series(times, unique.index)


def _time_of_day(text: str) -> np.timedelta64:
    """Returns the time since midnight, NaT where there is no such time."""
    found = CLOCK.fullmatch(text)
    assert found is not None
    hours, minutes, seconds = int(found[1]), int(found[2]), int(found[3] or 0)
    if hours > (12 if found[5] else 23) or minutes > 59 or seconds > 59:
        return NO_TIME
    if found[5]:
        hours = hours % 12 + 12 * (found[5] in "pP")
    microseconds = int((found[4] or "")[:6].ljust(6, "0"))
    return np.timedelta64(((hours * 60 + minutes) * 60 + seconds) * 10**6 + microseconds, "us")


def _ahead(zone: str) -> np.timedelta64:
    """Returns how much a zone is ahead of UTC, NaT if that is unknown."""
    if zone.upper() in UTC:
        return MIDNIGHT
    if zone[0] not in "+-":
        return NO_TIME
    minutes = int(zone[1:3]) * 60 + int(zone[-2:] if len(zone) > 3 else 0)
    return np.timedelta64((-minutes if zone[0] == "-" else minutes) * 60 * 10**6, "us")


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
