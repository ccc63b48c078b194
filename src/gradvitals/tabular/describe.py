"""Describes fitted columns in words, for the look at a table."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import number, shortened, visible
from gradvitals.tabular.dates import AGE
from gradvitals.tabular.description import ColumnDescription
from gradvitals.tabular.fitted_columns import CategoryColumn, DateColumn, FittedColumn, NumberColumn, dates_of, formula
from gradvitals.tabular.labels import as_strings, canonical, canonical_number, spellings
from gradvitals.tabular.preparation import Preparation
from gradvitals.tabular.target import Target

SHOWN_LEVELS = 5


def describe_target(target: Target, y: NDArray) -> ColumnDescription:
    """Describes the column to predict; ``y`` has class numbers or quantities in their own unit."""
    if target.classes:
        return ColumnDescription(target.name, "target", f"{len(target.classes)} classes")
    words = [_span(y), *filter(None, [target.format.in_words()])]
    scaled = formula("y", target.center, target.scale)
    return ColumnDescription(target.name, "target", ", ".join(words), scaled=scaled)


def describe_column(column: FittedColumn, cells: pd.Series, preparation: Preparation) -> ColumnDescription:
    """Describes a column that a network is given, with its cells in a table."""
    if isinstance(column, NumberColumn):
        return _of_numbers(column, cells, preparation)
    if isinstance(column, CategoryColumn):
        return _of_names(column, cells, preparation)
    return _of_dates(column, cells, preparation)


def _of_numbers(column: NumberColumn, cells: pd.Series, preparation: Preparation) -> ColumnDescription:
    values, _ = column.read(cells, preparation.missing)
    known = values[np.isfinite(values)]
    words = [_span(known) if len(known) else "no value", *filter(None, [column.format.in_words()])]
    words += [f"{canonical_number(mark)} is missing" for mark in column.sentinels]
    gaps = int(np.isnan(values).sum())
    imputed = f"median {number(column.scale.median)}" if gaps else ""
    return ColumnDescription(column.name, column.kind, ", ".join(words), gaps, imputed, column.scale.in_words(), 1)


def _of_names(column: CategoryColumn, cells: pd.Series, preparation: Preparation) -> ColumnDescription:
    strings = as_strings(cells)
    absent = preparation.missing.absent(strings, words=False)
    found = spellings(strings[~absent], column.exact)
    counts = Counter({level: sum(texts.values()) for level, texts in found.items()})
    levels = [(level, counts[canonical(level, column.exact)]) for level in column.levels]
    levels.sort(key=lambda pair: -pair[1])
    words = shortened([f"{visible(level)} {count}" for level, count in levels], SHOWN_LEVELS)
    rarer = counts.total() - sum(count for _, count in levels)
    others = f"; {rarer} rows of rarer levels" if column.other_level else ""
    gaps = int(absent.sum())
    imputed = "a level of its own" if gaps and column.missing_level else "no level" if gaps else ""
    detail = f"{len(levels):,} {'level' if len(levels) == 1 else 'levels'}: {words}{others}"
    return ColumnDescription(column.name, column.kind, detail, gaps, imputed, "one-hot", column.features)


def _of_dates(column: DateColumn, cells: pd.Series, preparation: Preparation) -> ColumnDescription:
    moments = dates_of(cells, preparation.missing, column.format).values
    known = moments[~np.isnat(moments)]
    span = f"{str(known.min())[:10]} to {str(known.max())[:10]}" if len(known) else "no value"
    used = f"as days before {column.reference[:10]}" if column.as_features == AGE else f"as {', '.join(column.parts)}"
    gaps = int(np.isnat(moments).sum())
    statistics = "median and quartiles" if column.scales[0].limit else "mean and deviation"
    scaled = f"{statistics} of each" if column.scales[0].in_words() else ""
    detail, imputed = f"{span}, written {column.format}, {used}", "median" if gaps else ""
    return ColumnDescription(column.name, column.kind, detail, gaps, imputed, scaled, column.features)


def _span(values: NDArray[np.float64]) -> str:
    """Returns the smallest and the largest number, integers in full."""
    low, high = float(values.min()), float(values.max())
    return " to ".join(
        number(int(value)) if value == int(value) and abs(value) < 1e15 else number(value, 6) for value in (low, high)
    )
