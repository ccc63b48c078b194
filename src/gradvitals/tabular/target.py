"""The column to predict: classes or a quantity, and how that was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.preprocessing import RobustScaler, StandardScaler

from gradvitals.formatting import number, setting, shortened, visible
from gradvitals.tabular.fitted_columns import first_string, refuse_infinite
from gradvitals.tabular.dates import dates
from gradvitals.tabular.description import Remark
from gradvitals.tabular.kinds import STRAY, KindOptions
from gradvitals.tabular.labels import PLAIN_NUMBER, as_strings, canonical, canonical_number, merged, ordered, spellings
from gradvitals.tabular.missing import WORDS, MissingWords
from gradvitals.tabular.numbers import NumberFormat, numbers

TASKS = ("binary", "multiclass", "regression")
MAX_CLASSES = 20  # integers with more distinct values are probably a quantity
LEAST = 3  # rows of a class: one for each split
BOOLEANS = frozenset("yes no y n true false t f ja nein oui non si 0 1 on off".split())


@dataclass(frozen=True)
class Target:
    """The fitted column to predict.

    Attributes:
        classes: their names in the order of the network's outputs; empty for a regression.
        exact: whether case and inner blanks distinguish classes.
        absent: names such as NA that mean that a row has no class.
        format: how a quantity is written.
        center, scale: ``(y - center) / scale`` of a quantity.
    """

    name: str
    task: str
    classes: tuple[str, ...] = ()
    exact: bool = False
    absent: tuple[str, ...] = ()
    format: NumberFormat = NumberFormat()
    center: float = 0.0
    scale: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Target:
        tuples = {name: tuple(values[name]) for name in ("classes", "absent")}
        return cls(**{**values, **tuples, "format": NumberFormat(**values["format"])})

    def has_value(self, column: pd.Series, missing: MissingWords) -> NDArray[np.bool_]:
        """Returns which rows have a target, ``(rows,)``."""
        strings = as_strings(column)
        absent = missing.absent(strings, words=not self.classes)
        absent |= strings.str.casefold().isin(self.absent)
        return ~absent.to_numpy(bool)

    def numbers(self, column: pd.Series) -> NDArray:
        """Returns class numbers, or scaled quantities, of rows that have a target.

        Raises:
            ValueError: a class that the training table does not have, or a string instead of a quantity.
        """
        if not self.classes:
            return (self.quantities(column) - self.center) / self.scale
        known = {canonical(name, self.exact): at for at, name in enumerate(self.classes)}
        strings = as_strings(column)
        found = strings.map({text: known.get(canonical(text, self.exact), -1) for text in pd.unique(strings)})
        if (found < 0).any():
            new = strings[found < 0].value_counts()
            words = shortened([f"{visible(str(name))!r} ({count} rows)" for name, count in new.items()], 5)
            raise ValueError(
                f"expected the classes {shortened([repr(name) for name in self.classes], 10)} of the training table in "
                f"column {visible(self.name)!r}; got {words}. To leave those rows out, set "
                f"{setting('data.missing', [str(name) for name in new.index])}"
            )
        return found.to_numpy(np.int64)

    def quantities(self, column: pd.Series) -> NDArray[np.float64]:
        """Returns the quantities in their own unit."""
        if pd.api.types.is_numeric_dtype(column):
            return column.to_numpy(np.float64)
        strings = as_strings(column)
        found = numbers(strings, likely=self.format.decimal)
        if np.isnan(found.values).any():
            raise ValueError(
                f"expected numbers in {visible(self.name)!r}; got {first_string(strings[np.isnan(found.values)])}"
            )
        refuse_infinite(found.values, column)
        return found.values

    def unscaled(self, outputs: NDArray) -> NDArray[np.float64]:
        """Returns a network's outputs ``(rows,)`` in the quantity's own unit."""
        return outputs.astype(np.float64) * self.scale + self.center

    def fitted_to(self, quantities: NDArray[np.float64], scaling: str) -> Target:
        """Returns the target with the scale of the training rows' quantities."""
        if scaling == "raw":
            return self
        standard = StandardScaler().fit(quantities[:, None])
        center, scale = standard.mean_[0], standard.scale_[0]
        if scaling == "robust" and np.subtract(*np.percentile(quantities, [75, 25])) > 0:
            robust = RobustScaler().fit(quantities[:, None])
            center, scale = robust.center_[0], robust.scale_[0]
        return Target(**{**self.__dict__, "center": float(center), "scale": float(scale)})


@dataclass(frozen=True)
class FoundTarget:
    """What was found of the column to predict, before anything is fitted.

    Attributes:
        has_value: which rows have a target, ``(rows,)``.
        source: how the task was found.
        left_out: what the other rows have instead, string -> rows.
    """

    target: Target
    has_value: NDArray[np.bool_]
    source: str
    left_out: dict[str, int]
    remarks: tuple[Remark, ...]


def find_target(column: pd.Series, task: str, options: KindOptions, likely: str) -> FoundTarget:
    """Decides which rows have a target, and the task.

    Args:
        column: the cells as strings.
        task: ``auto``, or the task that the user typed.
        likely: the decimal sign of the table; empty: unknown.

    Raises:
        ValueError: fewer than two values, a class of fewer than three rows, dates, free text, or numbers among which
            are other strings; it says what to type.
    """
    name = str(column.name)
    absent, words, remarks = _absent(column, options)
    left_out = {
        repr(visible(str(text))) if text else "an empty cell": int(n)
        for text, n in column[absent].value_counts().items()
    }
    present = column[~absent]
    if present.nunique() < 2:
        only = f"only {visible(present.iloc[0])}" if len(present) else "no value at all"
        raise ValueError(f"data.target={visible(name)}: expected at least two different values; got {only}")
    found = numbers(present, options.decimal, options.thousands, likely)
    is_code = bool(present.str.fullmatch(r"0\d+").any() and present.str.fullmatch(r"\d+").all())
    if found.share == 1 and not (is_code and task != "regression"):
        refuse_infinite(found.values, present)
        target, source = _of_numbers(name, found.values, task)
        target = Target(name, target.task, target.classes, options.exact_labels, words, found.format)
        if found.ambiguous and target.task == "regression":
            other = {".": "comma", ",": "point"}[found.format.decimal]
            remarks.append(
                Remark(
                    f"{visible(name)}: {found.ambiguous!r} was read as {number(float(found.values[present == found.ambiguous][0]))}",
                    setting("data.decimal", other),
                )
            )
    else:
        if task == "regression" or found.share >= STRAY:
            _refuse_strings(name, present[np.isnan(found.values)], task, options)
        target, source = _of_strings(name, present, task, options)
        target = Target(name, target.task, target.classes, options.exact_labels, words)
        if same := merged(spellings(present, options.exact_labels)):
            remarks.append(Remark(f"{visible(name)}: {same} is one class", setting("data.labels", "exact")))
    if target.classes:
        _refuse_rare(target, present, options)
    return FoundTarget(target, ~absent.to_numpy(bool), source, left_out, tuple(remarks))


def _absent(column: pd.Series, options: KindOptions) -> tuple[pd.Series, tuple[str, ...], list[Remark]]:
    """Returns which rows have no target, the names that mean so here, and remarks.

    NA, None and null are classes if the other values are names too, and as many rows have them as half of the rarest
    class. They mean missing beside numbers, yes and no.
    """
    absent = options.missing.absent(column, words=False)
    folded = column.str.casefold()
    words = [word for word in folded[~absent].unique() if word in WORDS]
    if not words:
        return absent, (), []
    others = folded[~absent & ~folded.isin(words)]
    names = set(others.unique())
    is_named = bool(names) and not names <= BOOLEANS and numbers(others).share < STRAY
    counts = folded[~absent].value_counts()
    least = max(LEAST, 0.5 * min((counts[name] for name in names), default=0))
    classes = [word for word in words if is_named and counts[word] >= least]
    gone = [word for word in words if word not in classes]
    remarks = []
    if classes:
        spelled = list(column[folded.isin(classes)].unique())
        text = f"{visible(str(column.name))}: {', '.join(map(repr, spelled))} is taken for a class, not for a missing value"
        remarks.append(Remark(text, setting("data.missing", [*(options.missing.typed or ()), *spelled])))
    return absent | folded.isin(gone), tuple(gone), remarks


def _of_numbers(name: str, values: NDArray[np.float64], task: str) -> tuple[Target, str]:
    distinct = np.unique(values)
    whole = bool((distinct == np.round(distinct)).all())
    source = "typed"
    if task == "auto" and len(distinct) == 2:
        task, source = "binary", "two different numbers"
    elif task == "auto" and whole and len(distinct) <= MAX_CLASSES:
        task, source = "multiclass", f"{len(distinct)} different integers, at most {MAX_CLASSES}"
    elif task == "auto":
        task, source = "regression", f"{len(distinct):,} different {'integers' if whole else 'numbers with decimals'}"
    if task == "regression":
        return Target(name, task), source
    _check_binary(name, task, len(distinct))
    return Target(name, task, tuple(canonical_number(value) for value in distinct)), source


def _of_strings(name: str, present: pd.Series, task: str, options: KindOptions) -> tuple[Target, str]:
    found = dates(present, options.date_format)
    if found is not None and found.share >= STRAY:
        raise ValueError(
            f"data.target={visible(name)}: expected classes or numbers; got dates such as {first_string(present)}. "
            "Write the number that is to be predicted, such as days, into a column of its own"
        )
    classes = spellings(present, options.exact_labels)
    if len(classes) > MAX_CLASSES and len(classes) > len(present) / LEAST:
        raise ValueError(
            f"data.target={visible(name)}: expected classes or numbers; got {len(classes):,} different strings in "
            f"{len(present):,} rows, such as {first_string(present)}"
        )
    _check_binary(name, task, len(classes))
    source = "typed" if task != "auto" else f"{len(classes)} different names"
    task = ("binary" if len(classes) == 2 else "multiclass") if task == "auto" else task
    return Target(name, task, tuple(ordered([next(iter(texts)) for texts in classes.values()]))), source


def _check_binary(name: str, task: str, classes: int) -> None:
    if task == "binary" and classes != 2:
        raise ValueError(f"data.task=binary: expected two values in {visible(name)!r}; got {classes}")
    if classes < 2:
        raise ValueError(f"data.target={visible(name)}: expected at least two different values; got one")


def _refuse_strings(name: str, strings: pd.Series, task: str, options: KindOptions) -> None:
    words = list(map(str, strings.unique()))
    way = (
        f". If it means missing, set {setting('data.missing', [*(options.missing.typed or ()), *words])}"
        if len(words) <= 5
        else ""
    )
    asked = "data.task=regression: " if task == "regression" else ""
    if task == "multiclass":
        return
    also = "" if task == "regression" else ". If the column has classes, set data.task=multiclass"
    raise ValueError(f"{asked}expected numbers in {visible(name)!r}; got {first_string(strings)}{way}{also}")


def _refuse_rare(target: Target, present: pd.Series, options: KindOptions) -> None:
    counts = present.map({text: canonical(text, target.exact) for text in present.unique()}).value_counts()
    rare = counts[counts < LEAST]
    if not len(rare):
        return
    spelled = {canonical(text, target.exact): text for text in present.unique()}
    names = [spelled[name] for name in rare.index]
    ways = []
    if all(map(PLAIN_NUMBER.fullmatch, map(str, counts.index))):
        ways.append("if it is a quantity, set data.task=regression")
    if len(names) <= 5 and len(counts) - len(names) >= 2:
        ways.append(f"to leave these rows out, set {setting('data.missing', [*(options.missing.typed or ()), *names])}")
    has = ", ".join(f"{visible(name)} has {count}" for name, count in list(zip(names, rare, strict=True))[:5])
    raise ValueError(
        f"data.target={visible(target.name)}: expected at least {LEAST} rows of each class; {has}"
        f"{f' and {len(names) - 5} more' if len(names) > 5 else ''}. {'; '.join(ways).capitalize()}".rstrip(". ")
    )
