"""Which kind each column of a table is: found from its cells, or typed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import number, setting, visible
from gradvitals.tabular.dates import OTHER_ORDER, Dates, dates
from gradvitals.tabular.description import Remark
from gradvitals.tabular.fitted_columns import FLOAT32_MAX, StrayCells
from gradvitals.tabular.labels import canonical_number, merged, spellings
from gradvitals.tabular.missing import MissingWords, sentinels
from gradvitals.tabular.numbers import ParsedNumbers, may_be_grouped, numbers
from gradvitals.tabular.totals import TOTALS

IDENTIFIER = re.compile(  # num_rooms is no identifier, invoice_num is one
    r"(^|[\W_])(id|idx|index|key|uuid|guid|rownum)([\W_]|$)|(^|[\W_])(row|nr|no|num|number)[\W_]*$|[a-z]I[dD]$",
    re.ASCII,
)
PERSON = re.compile(r"(^|[\W_])(patient|subject|customer|client|user|person|kunde|patientin)([\W_]|$)", re.IGNORECASE)
SERIAL = re.compile(r"^(unnamed: \d+|column \d+|index|rowid|id|x1|\W*)$", re.IGNORECASE)
CODE = re.compile(r"0\d+")
SAMPLE = 1000  # cells by which the decimal sign of a table is found
FEW_LEVELS = 20  # strings of which are a category even if each occurs once or twice
STRAY = 0.5  # share of numbers from which a column of numbers has stray strings
MOST_STRAY = 5  # different strings that may mean missing
MOST_BYTES = 2**29  # of one-hot features
FAR = 20.0  # how many ranges of the middle 80 % from the median an outlier is


@dataclass(frozen=True)
class KindOptions:
    """What the user typed about columns and cells.

    Attributes:
        target_missing: values of the target that mean that a row has none.
    """

    categorical: Sequence[str] = ()
    numeric: Sequence[str] = ()
    dates: Sequence[str] = ()
    missing: MissingWords = field(default_factory=MissingWords)
    target_missing: Sequence[str] = ()
    decimal: str = "auto"
    thousands: str = "auto"
    date_format: str = "auto"
    exact_labels: bool = False
    max_levels: int = 100


@dataclass(frozen=True)
class NumberGuess:
    """A column of numbers: NaN where missing."""

    found: ParsedNumbers
    values: NDArray[np.float64]  # (rows,)
    sentinels: tuple[float, ...] = ()


@dataclass(frozen=True)
class CategoryGuess:
    """A column of names."""


@dataclass(frozen=True)
class DateGuess:
    """A column of dates."""

    found: Dates
    moments: NDArray[np.datetime64]  # (rows,)


@dataclass(frozen=True)
class Unused:
    """A column that is left out."""

    reason: str
    use: str = ""  # the key by which it is used all the same


Guess = NumberGuess | CategoryGuess | DateGuess | Unused


@dataclass
class Kinds:
    """The kind of every column, and what to say about it."""

    columns: dict[str, Guess] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)


def likely_decimal(cells: pd.DataFrame, options: KindOptions) -> str:
    """Returns the decimal sign that the unambiguous columns of a table have; empty: they have none, or both."""
    signs = set()
    for name in cells.columns:
        texts = list(islice(filter(None, cells[name]), SAMPLE))
        if not re.search(r"\d[.,]\d", "\n".join(texts)):
            continue
        some = pd.Series(texts, dtype=object)
        present = some[~options.missing.absent(some)]
        found = numbers(present)
        sign = rf"\d\{found.format.decimal}\d"
        is_open = found.ambiguous or may_be_grouped(present, found.format.decimal)
        if found.share == 1 and not is_open and re.search(sign, "\n".join(present)):
            signs.add(found.format.decimal)
    return signs.pop() if len(signs) == 1 else ""


def kinds(cells: pd.DataFrame, options: KindOptions, unnamed: Sequence[str], likely: str, drop: Sequence[str]) -> Kinds:
    """Returns the kind of each column.

    Args:
        cells: strings; ``""`` is empty.
        unnamed: columns that the file does not name.
        likely: the decimal sign of the table; empty: unknown.
        drop: columns that are left out already.

    Raises:
        ValueError: it names all columns that have both numbers and other strings, and what to type.
    """
    found, stray = Kinds(), dict[str, StrayCells]()
    for name in cells.columns:
        try:
            found.columns[name] = _kind(name, cells[name], options, name in unnamed, likely)
        except StrayCells as error:
            stray[name] = error
    if stray:
        raise ValueError(_of_stray(stray, found, options, drop))
    found.columns |= _in_one_order(found.columns, cells, options, likely)
    found.remarks = [
        remark for name, guess in found.columns.items() for remark in _remarks(name, guess, cells[name], options)
    ]
    return found


def _in_one_order(
    columns: Mapping[str, Guess], cells: pd.DataFrame, options: KindOptions, likely: str
) -> dict[str, Guess]:
    """Returns the ambiguous dates, read in the order of day and month that the other columns of the table decide."""
    guesses = {name: guess for name, guess in columns.items() if isinstance(guess, DateGuess)}
    decided = {guess.found.format for guess in guesses.values() if not guess.found.ambiguous} & set(OTHER_ORDER)
    months_first = {name.startswith("%m") for name in decided}
    again = dict[str, Guess]()
    for name, guess in guesses.items():
        other = guess.found.ambiguous
        if len(months_first) == 1 and other:
            typed = other if other.startswith("%m") in months_first else guess.found.format
            is_present = ~options.missing.absent(cells[name])
            how = replace(options, date_format=typed)
            if date := _date(cells[name][is_present], is_present, how, likely):
                again[name] = date
    return again


def is_coded(present: pd.Series) -> bool:
    """Whether strings of digits are codes, of which one has a leading zero."""
    return all(map(str.isdecimal, present)) and bool(present.str.fullmatch(CODE).any())


def _kind(name: str, cells: pd.Series, options: KindOptions, is_unnamed: bool, likely: str) -> Guess:
    """Returns the kind of a column; raises StrayCells where it is neither numbers, nor dates, nor names."""
    if name in options.categorical:
        return CategoryGuess()
    is_present = ~options.missing.absent(cells)
    present = cells[is_present]
    if not len(present):
        return Unused("no value")
    if name in options.dates:
        if date := _date(present, is_present, options, likely):
            return date
        raise StrayCells("dates", present)
    if name in options.numeric:
        found = numbers(present, options.decimal, options.thousands, likely)
        return _number(present, found, is_present, options, False)
    first = present.iloc[0]
    if is_present.all() and all(text == first for text in present):
        return Unused(f"always {visible(first)!r}")
    if is_coded(present):
        return _names(cells, options)
    is_date = all(len(text) == 8 and text.isdecimal() for text in present)
    if is_date and (date := _date(present, is_present, options, likely)) is not None:
        return date
    found = numbers(present, options.decimal, options.thousands, likely)
    if found.share >= STRAY:
        return _number(present, found, is_present, options, is_unnamed)
    return _date(present, is_present, options, likely) or _names(cells, options)


def _number(
    present: pd.Series, found: ParsedNumbers, is_present: pd.Series, options: KindOptions, is_unnamed: bool
) -> NumberGuess | Unused:
    if found.share < 1:
        raise StrayCells("numbers", present[np.isnan(found.values)])
    large = present[np.abs(found.values) > FLOAT32_MAX]
    if len(large):
        raise StrayCells("numbers below 1e38", large, f"{large.iloc[0]} in line {large.index[0]}")
    name = str(present.name)
    values = np.full(len(is_present), np.nan)
    values[is_present.to_numpy()] = found.values
    marks = sentinels(values) if options.missing.typed is None else ()
    values[np.isin(values, [*marks, *options.missing.numbers])] = np.nan
    if name not in options.numeric and (reason := _identifies(name, values, is_unnamed)):
        return Unused(reason, "numeric")
    return NumberGuess(found, values, marks)


def _identifies(name: str, values: NDArray[np.float64], is_unnamed: bool) -> str:
    """Returns why a column of numbers only numbers the rows; empty: it does not."""
    is_serial = bool(
        np.isfinite(values).all() and (values == np.round(values)).all() and len(np.unique(values)) == len(values)
    )
    if not is_serial or len(values) < 3:
        return ""
    if is_unnamed or SERIAL.match(name.strip()):
        return "the number of the row: every row has another one"
    is_named = IDENTIFIER.search(name) or IDENTIFIER.search(name.lower())
    return "an identifier: every row has another one" if is_named else ""


def _date(present: pd.Series, is_present: pd.Series, options: KindOptions, likely: str) -> DateGuess | None:
    found = dates(present, options.date_format, day_first=likely == ",")
    if found is None and options.date_format != "auto":
        found = dates(present, day_first=likely == ",")
    if found is None or found.share < STRAY:
        return None
    if found.share < 1:
        raise StrayCells("dates", present[np.isnat(found.values)])
    moments = np.full(len(is_present), "NaT", "datetime64[us]")
    moments[is_present.to_numpy()] = found.values
    return DateGuess(found, moments)


def _names(cells: pd.Series, options: KindOptions) -> Guess:
    present = cells[~options.missing.absent(cells, words=False)]
    levels = len(spellings(present, options.exact_labels))
    if levels > FEW_LEVELS and levels > len(present) / 2:
        reason = f"free text or an identifier: {levels:,} different strings in {len(present):,} rows"
        return Unused(reason, "categorical")
    return CategoryGuess()


def _remarks(name: str, guess: Guess, cells: pd.Series, options: KindOptions) -> list[Remark]:
    shown = visible(name)
    if isinstance(guess, NumberGuess):
        return [*_of_numbers(name, guess), *_of_repetition(name, guess.values)]
    if isinstance(guess, DateGuess) and guess.found.ambiguous:
        text = f"{shown}: dates were read by {guess.found.format}; the other order fits, too"
        return [Remark(text, setting("data.date_format", guess.found.ambiguous))]
    if isinstance(guess, CategoryGuess):
        return _of_names(name, cells, options)
    if isinstance(guess, Unused) and guess.use == "numeric" and not _is_in_order(cells):
        return [Remark(f"{shown}: taken for {guess.reason}", setting("data.numeric", [*options.numeric, name]))]
    return []


def _of_names(name: str, cells: pd.Series, options: KindOptions) -> list[Remark]:
    found = spellings(cells[~options.missing.absent(cells, words=False)], options.exact_labels)
    remarks = []
    if sums := [text for level, texts in found.items() if level in TOTALS for text in texts]:
        rows = int(cells.isin(sums).sum())
        text = f"{visible(name)}: {', '.join(map(repr, sums))} in {rows} rows, which may sum up others and are used"
        remarks.append(Remark(text))
    if same := merged(found):
        remarks.append(Remark(f"{visible(name)}: {same} is one level", setting("data.labels", "exact")))
    if len(found) > options.max_levels:
        most = f"the {options.max_levels} most frequent are used, the others share one"
        is_small = len(found) * len(cells) * 4 <= MOST_BYTES
        more = setting("data.max_levels", len(found)) if is_small else ""
        remarks.append(Remark(f"{visible(name)}: {len(found):,} levels; {most}", more))
    return remarks


def _of_repetition(name: str, values: NDArray[np.float64]) -> list[Remark]:
    """An identifier with several rows is of a person or a thing, whom a net would know again in the test split."""
    different = len(np.unique(values))
    is_repeated = 2 < different < len(values) and (values == np.round(values)).all()
    if not is_repeated or not (IDENTIFIER.search(name) or PERSON.search(name)):
        return []
    text = f"{visible(name)}: {different:,} different identifiers in {len(values):,} rows are used as numbers"
    return [Remark(f"{text}; to keep their rows in one split", setting("data.group", name))]


def _is_in_order(cells: pd.Series) -> bool:
    """Whether a column of numbers numbers the rows, up or down."""
    values = pd.to_numeric(cells, errors="coerce")
    return bool(values.is_monotonic_increasing or values.is_monotonic_decreasing)


def _of_numbers(name: str, guess: NumberGuess) -> list[Remark]:
    shown, found, remarks = visible(name), guess.found, list[Remark]()
    if found.ambiguous:
        read, other = ("point", "comma") if found.format.decimal == "." else ("comma", "point")
        text = f"{shown}: {found.ambiguous!r} was read with decimal {read}"
        remarks.append(Remark(text, setting("data.decimal", other)))
    if found.bare:
        text = f"{shown}: {found.bare} numbers lack the {found.format.unit} that others have"
        remarks.append(Remark(f"{text}, and were read as if they had it"))
    if mark := " and ".join(map(canonical_number, guess.sentinels)):
        remarks.append(Remark(f"{shown}: {mark} was taken for missing", setting("data.missing", [])))
    return [*remarks, *of_far_values(name, guess.values)]


def of_far_values(name: str, values: NDArray[np.float64]) -> list[Remark]:
    """Returns the remark on the outliers of a column; none: it has none."""
    far = far_values(values)
    if not len(far):
        return []
    text = f"{visible(name)}: {len(far)} far beyond the rest, such as {number(float(far[0]))}"
    return [Remark(text, setting("data.scaling", "robust"))]


def far_values(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Returns the numbers that are far beyond the rest, the farthest first.

    Example:
        >>> far_values(np.array([*range(20), 1e6])).tolist()
        [1000000.0]
    """
    known = values[np.isfinite(values)]
    if len(known) < 10:
        return known[:0]
    low, median, high = np.quantile(known, [0.1, 0.5, 0.9])
    if high == low:
        return known[:0]
    distance = np.abs(known - median) / (high - low)
    far = distance > FAR
    return known[far][np.argsort(-distance[far])]


def _of_stray(stray: Mapping[str, StrayCells], kinds: Kinds, options: KindOptions, drop: Sequence[str]) -> str:
    """Names all columns at once, and what to type, with what was typed or found before."""
    strings = list(dict.fromkeys(text for error in stray.values() for text in error.strings))
    ways = []
    if len(strings) <= MOST_STRAY:
        guesses = [guess for guess in kinds.columns.values() if isinstance(guess, NumberGuess)]
        marks = dict.fromkeys(canonical_number(mark) for guess in guesses for mark in guess.sentinels)
        before = marks if options.missing.typed is None else options.missing.typed
        ways.append(f"if they mean missing, {setting('data.missing', [*before, *strings])}")
    names = [name for name in stray if name not in (*options.numeric, *options.dates)]
    if len(names) == len(stray):
        ways.append(f"if they are names, {setting('data.categorical', [*options.categorical, *names])}")
    ways.append(f"to leave {'it' if len(stray) == 1 else 'them'} out, {setting('data.drop', [*drop, *stray])}")
    found = "; ".join(map(str, stray.values()))
    return f"data: expected {found}. Correct the file, or set: {'; '.join(ways)}"
