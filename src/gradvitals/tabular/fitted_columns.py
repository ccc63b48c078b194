"""The columns of a table, each fitted to the training rows: how it becomes numbers, and how a new one differs."""

from __future__ import annotations

import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from numbers import Number
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import RobustScaler

from gradvitals.formatting import number, setting, shortened, visible
from gradvitals.tabular.dates import AGE, Dates, date_features, date_parts, dates
from gradvitals.tabular.labels import as_strings, canonical, counted_names, spellings
from gradvitals.tabular.missing import MissingWords
from gradvitals.tabular.numbers import NumberFormat, numbers, plain_numbers

Floats = NDArray[np.float64]
SCALINGS = ("standard", "robust", "raw")
CLIPPED_AT = 10.0  # robust: how many interquartile ranges from the median a feature can be
FLOAT32_MAX = float(np.finfo(np.float32).max)
SHIFT, FEW_ROWS = 3.0, 10  # training deviations that a mean may move; of fewer rows it may move twice as far
UNIT = 8.0  # ratio of two scales that suggests another unit


@dataclass(frozen=True)
class Scale:
    """How numbers are imputed and scaled: ``(x - center) / scale``, clipped at ``limit``; then what training rows had.

    Attributes:
        median: replaces what is missing.
        limit: 0: no limit.
        mean, deviation: of the training rows, unscaled.
        missing: training cells that were missing.
    """

    median: float
    center: float
    scale: float
    limit: float
    mean: float
    deviation: float
    missing: int

    @classmethod
    def fit(cls, values: Floats, scaling: str) -> Scale:
        """Fits to the training rows ``(rows,)``, NaN where missing."""
        known = values if np.isfinite(values).any() else np.zeros_like(values)  # no training row has a value
        median = float(np.nanmedian(known))
        filled = np.where(np.isnan(known), median, known)
        mean, deviation, scale = standard_scale(filled)
        center, limit = mean, 0.0
        if scaling == "robust":
            robust = RobustScaler().fit(filled[:, None])
            has_range = float(np.subtract(*np.percentile(filled, [75, 25]))) > 0
            center, scale = float(robust.center_[0]), float(robust.scale_[0]) if has_range else scale
            limit = CLIPPED_AT
        elif scaling == "raw":
            center, scale = 0.0, 1.0
        return cls(median, center, scale, limit, mean, deviation, int(np.isnan(values).sum()))

    def apply(self, values: Floats) -> Floats:
        """Returns scaled numbers, ``(rows,)``."""
        scaled = (np.where(np.isnan(values), self.median, values) - self.center) / self.scale
        return np.clip(scaled, -self.limit, self.limit) if self.limit else scaled

    def in_words(self) -> str:
        limit = f"at most {self.limit:g}" if self.limit else ""
        return ", ".join(filter(None, [formula("x", self.center, self.scale), limit]))

    def shift(self, values: Floats) -> str:
        """Returns in words how new numbers differ from the training rows'; empty: not by much."""
        known = values[np.isfinite(values)]
        if not len(known) or not self.deviation:
            return ""
        mean, deviation = float(known.mean()), float(known.std())
        moved = abs(mean - self.mean) / self.deviation
        ratio = mean / self.mean if self.mean else np.inf
        if len(known) >= FEW_ROWS and deviation and ratio > 0:
            spread = deviation / self.deviation
            if max(ratio, 1 / ratio) > UNIT and 0.5 < spread / ratio < 2:
                factor = f"{float(f'{max(ratio, 1 / ratio):.2g}'):,g}"
                words = f"about {factor} times" if ratio > 1 else f"about 1/{factor} of"
                return f"the mean {number(mean)} is {words} the training rows' {number(self.mean)}: in another unit?"
        if moved >= SHIFT * (1 if len(known) >= FEW_ROWS else 2):
            return f"the mean {number(mean)} is {moved:.0f} deviations from the training rows' {number(self.mean)}"
        return ""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers.

    Attributes:
        format: how the training table writes them.
        sentinels: numbers that mean missing, such as -999.
    """

    kind: ClassVar[str] = "number"
    name: str
    format: NumberFormat
    sentinels: tuple[float, ...]
    scale: Scale

    @property
    def features(self) -> int:
        return 1

    def read(self, column: pd.Series, missing: MissingWords) -> tuple[Floats, str]:
        """Returns the numbers of a column, unscaled, ``(rows,)``, NaN where missing, and the unit beside them.

        Raises:
            ValueError: strings that are no numbers, or infinite ones.
        """
        if (typed := typed_numbers(column)) is not None:
            values, unit = typed, self.format.unit
        elif self.format.decimal == "." and (plain := plain_numbers(column)) is not None:
            values, unit = plain, ""
        else:
            strings = as_strings(column)
            is_present = ~missing.absent(strings).to_numpy()
            present = strings[is_present]
            found = numbers(present, likely=self.format.decimal)
            if np.isnan(found.values).any():
                raise StrayCells("numbers", present[np.isnan(found.values)])
            values, unit = np.full(len(strings), np.nan), found.format.unit
            values[is_present] = found.values
        values[np.isin(values, [*self.sentinels, *missing.numbers])] = np.nan
        refuse_infinite(values, column)
        return values, unit

    def transform(self, column: pd.Series, missing: MissingWords) -> Floats:
        values, _ = self.read(column, missing)
        scaled = self.scale.apply(values)
        refuse_infinite(scaled, column, " when scaled")  # where training values are all small
        return scaled[:, None]

    def differences(self, column: pd.Series, missing: MissingWords) -> Iterator[str]:
        values, unit = self.read(column, missing)
        if np.isfinite(values).any() and unit != self.format.unit:
            yield f"in {unit or 'no unit'}, the training table in {self.format.unit or 'no unit'}"
        if shift := self.scale.shift(values):
            yield shift
        if (gaps := int(np.isnan(values).sum())) and not self.scale.missing:
            yield f"{gaps} missing, where the training table has none: replaced by {number(self.scale.median)}"


@dataclass(frozen=True)
class CategoryColumn:
    """A column of names, one-hot.

    Attributes:
        levels: as the training rows spell them.
        missing_level: whether missing is a level, because training rows lack a value.
        other_level: whether the rare levels share one.
        exact: whether case and inner blanks distinguish levels.
    """

    kind: ClassVar[str] = "category"
    name: str
    levels: tuple[str, ...]
    missing_level: bool
    other_level: bool
    exact: bool

    @property
    def features(self) -> int:
        return len(self.levels) + self.missing_level + self.other_level

    def _numbers(self, strings: pd.Series, missing: MissingWords) -> NDArray[np.int64]:
        """Returns the number of each row's level; -1: missing and not a level; -2: a new level."""
        known = {canonical(level, self.exact): at for at, level in enumerate(self.levels)}
        absent = missing.absent(strings, words=False)
        unknown = missing.absent(strings)  # NA may be a level, and means missing where it is none
        gap = len(self.levels) if self.missing_level else -1
        found = {text: known.get(canonical(text, self.exact), -1) for text in pd.unique(strings)}
        level = np.array([found[text] for text in strings], np.int64)
        return np.where(absent, gap, np.where(level >= 0, level, np.where(unknown, gap, -2)))

    def transform(self, column: pd.Series, missing: MissingWords) -> NDArray[np.float32]:
        rows = self._numbers(as_strings(column), missing)
        if self.other_level:
            rows[rows == -2] = self.features - 1
        hot = np.zeros((len(rows), self.features), np.float32)
        hot[np.flatnonzero(rows >= 0), rows[rows >= 0]] = 1
        return hot

    def differences(self, column: pd.Series, missing: MissingWords) -> Iterator[str]:
        strings = as_strings(column)
        rows = self._numbers(strings, missing)
        new = counted_names(strings[rows == -2])
        if new and not self.other_level:
            known = shortened([repr(visible(level)) for level in self.levels], 5)
            yield f"new level{'s' * (len(new) > 1)} {shortened(new, 5)}; the training rows have {known}"
        if gaps := int((rows == -1).sum()):
            yield f"{gaps} missing, where the training rows have none"


@dataclass(frozen=True)
class DateColumn:
    """A column of dates.

    Attributes:
        format: of the training table.
        as_features: ``parts`` or ``age``.
        parts: which parts differ among the training rows.
        reference: the newest training date, from which an age counts.
    """

    kind: ClassVar[str] = "date"
    name: str
    format: str
    as_features: str
    parts: tuple[str, ...]
    reference: str
    scales: tuple[Scale, ...]

    @property
    def features(self) -> int:
        return len(self.scales)

    def _numbers(self, moments: NDArray[np.datetime64]) -> Floats:
        return date_features(moments, self.as_features, self.parts, self.reference)

    def transform(self, column: pd.Series, missing: MissingWords) -> Floats:
        values = self._numbers(dates_of(column, missing, self.format).values)
        return np.column_stack([scale.apply(values[:, at]) for at, scale in enumerate(self.scales)])

    def differences(self, column: pd.Series, missing: MissingWords) -> Iterator[str]:
        read = dates_of(column, missing, self.format)
        if read.ambiguous:
            other = setting("data.date_format", read.ambiguous)
            yield f"dates were read by {read.format}; the other order fits, too: {other}"
        values = self._numbers(read.values)
        part = "age in days" if self.as_features == AGE else self.parts[0]
        if shift := self.scales[0].shift(values[:, 0]) if part in ("age in days", "year") else "":
            yield f"{part}: {shift}"
        if (gaps := int(np.isnan(values[:, 0]).sum())) and not self.scales[0].missing:
            yield f"{gaps} missing, where the training rows have none"


def formula(symbol: str, center: float, scale: float) -> str:
    """Returns how numbers are scaled: ``(x - 5) / 2``; empty: they are not."""
    words = f"({symbol} {'+' if center < 0 else '-'} {number(abs(center))}) / {number(scale)}"
    return "" if center == 0 and scale == 1 else words


FittedColumn = NumberColumn | CategoryColumn | DateColumn
KINDS: dict[str, type] = {column.kind: column for column in (NumberColumn, CategoryColumn, DateColumn)}


def to_dict(column: FittedColumn) -> dict[str, Any]:
    """Returns a column as plain values, with its kind."""
    return {"kind": column.kind, **asdict(column)}


def from_dict(values: Mapping[str, Any]) -> FittedColumn:
    """Reads what :func:`to_dict` returned, after it went through JSON or YAML."""
    kind = KINDS[values["kind"]]
    given = {field.name: values[field.name] for field in fields(kind)}
    made = {
        "format": lambda value: NumberFormat(**value) if isinstance(value, Mapping) else value,
        "scale": lambda value: Scale(**value),
        "scales": lambda value: tuple(Scale(**each) for each in value),
    }
    plain = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
    return kind(**{name: made[name](value) if name in made else value for name, value in plain.items()})


def dates_of(column: pd.Series, missing: MissingWords, likely: str) -> Dates:
    """Returns the dates of a column, NaT where missing.

    Args:
        likely: the format that is tried first; only if it does not read all dates, it can be ambiguous how they are
            read.

    Raises:
        ValueError: strings that are no dates.
    """
    if pd.api.types.is_datetime64_any_dtype(column):
        moments = pd.to_datetime(column, utc=True).dt.tz_localize(None).to_numpy("datetime64[us]")
        return Dates(moments, likely)
    strings = as_strings(column)
    moments = np.full(len(strings), "NaT", "datetime64[us]")
    is_present = ~missing.absent(strings).to_numpy()
    present = strings[is_present]
    if not len(present):
        return Dates(moments, likely)
    found = dates(present, likely)
    if found is None or np.isnat(found.values).any():  # another table may write them in another way
        found = dates(present, day_first="%d" in likely and likely.find("%d") < likely.find("%m"))
    if found is None or np.isnat(found.values).any():
        stray = present if found is None else present[np.isnat(found.values)]
        raise StrayCells(f"dates such as {likely}", stray)
    moments[is_present] = found.values
    return replace(found, values=moments)


def typed_numbers(column: pd.Series) -> Floats | None:
    """Returns the numbers of a column that contains no strings, NaN where missing; None where it contains others.

    Example:
        >>> typed_numbers(pd.Series([1, None, True], dtype=object)).tolist(), typed_numbers(pd.Series(["1"]))
        ([1.0, nan, 1.0], None)
    """
    if pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return column.to_numpy(np.float64, na_value=np.nan).copy()
    if not all(isinstance(value, Number) or value is None or value is pd.NA for value in column):
        return None
    return np.array([np.nan if pd.isna(value) else float(value) for value in column], np.float64)


class StrayCells(ValueError):
    """Cells of another kind than the others of their column, or than the training table's.

    Attributes:
        strings: what they contain.
    """

    def __init__(self, expected: str, cells: pd.Series, first: str = "") -> None:
        super().__init__(f"{expected} in column {visible(str(cells.name))!r}; got {first or first_string(cells)}")
        self.strings = tuple(map(str, cells.unique()))


def standard_scale(values: Floats) -> tuple[float, float, float]:
    """Returns the mean, deviation and scale of numbers as ``StandardScaler`` of scikit-learn, in a tenth of its time.

    The scale is the deviation, or 1 where the deviation is no more than rounding.

    Example:
        >>> standard_scale(np.array([1.0, 3.0])), standard_scale(np.array([0.1, 0.1, 0.1]))[2]
        ((2.0, 1.0, 1.0), 1.0)
    """
    mean, variance = float(values.mean()), float(values.var())
    rounding = len(values) * np.finfo(np.float64).eps
    is_constant = variance <= rounding * variance + (rounding * mean) ** 2
    deviation = float(np.sqrt(variance))
    return mean, deviation, 1.0 if is_constant else deviation


def fit_category(name: str, strings: pd.Series, missing: MissingWords, exact: bool, max_levels: int) -> CategoryColumn:
    """Fits a column of names to the training rows; beyond ``max_levels`` the rarest levels share one."""
    absent = missing.absent(strings, words=False)
    present = strings[~absent]
    found = spellings(present, exact)
    counts = {level: sum(texts.values()) for level, texts in found.items()}
    most = sorted(counts, key=lambda level: (-counts[level], level))[:max_levels]
    levels = tuple(next(iter(found[level])) for level in sorted(most))
    return CategoryColumn(name, levels, bool(absent.any()), len(counts) > max_levels, exact)


def fit_date(name: str, moments: NDArray[np.datetime64], how: str, as_features: str, scaling: str) -> DateColumn:
    """Fits a column of dates to the training rows' ``moments``."""
    parts = date_parts(moments)
    known = moments[~np.isnat(moments)]
    reference = str(known.max()) if len(known) else "1970-01-01"
    values = date_features(moments, as_features, parts, reference)
    scales = tuple(Scale.fit(values[:, at], scaling) for at in range(values.shape[1]))
    return DateColumn(name, how, as_features, parts, reference, scales)


def first_string(strings: pd.Series) -> str:
    """Returns the first of some strings, with its line if the table is a file's."""
    return f"{reprlib.repr(str(strings.iloc[0]))} in line {strings.index[0]}"


def refuse_infinite(values: Floats, column: pd.Series, when: str = "") -> None:
    """Raises if one of a column's ``values`` is too large for float32."""
    large = np.flatnonzero(np.abs(values) > FLOAT32_MAX)
    if len(large):
        found, line = column.iloc[large[0]], column.index[large[0]]
        name = visible(str(column.name))
        raise ValueError(f"data: expected numbers below 1e38{when} in column {name!r}; got {found} in line {line}")
