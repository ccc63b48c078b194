"""Finds of the column to predict which rows have a value, and whether the values are classes or a quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradvitals.formatting import number, setting, shortened, visible
from gradvitals.tabular.dates import dates
from gradvitals.tabular.description import Remark
from gradvitals.tabular.fitted_columns import FLOAT32_MAX, first_string
from gradvitals.tabular.kinds import STRAY, KindOptions, is_coded, of_far_values
from gradvitals.tabular.labels import PLAIN_NUMBER, canonical, canonical_number, merged, ordered, spellings
from gradvitals.tabular.missing import WORDS, sentinels
from gradvitals.tabular.numbers import ParsedNumbers, numbers
from gradvitals.tabular.target import KEY, MOST_OFFERED, Target, canonical_names

MAX_CLASSES = 20  # integers with more distinct values are probably a quantity
LEAST = 3  # rows of a class: one for each split
BOOLEANS = frozenset(
    ["yes", "no", "y", "n", "true", "false", "t", "f", "ja", "nein", "oui", "non", "si", "0", "1", "on", "off"]
)


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


@dataclass(frozen=True)
class _Absent:
    """Which rows have no target (``rows``), the canonical values by which they were found, and remarks."""

    rows: pd.Series
    values: tuple[str, ...]
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
    absent = _absent(column, options)
    found = numbers(column[~absent.rows], options.decimal, options.thousands, likely)
    without_marks = _with_sentinel(column, absent, found, options)
    present = column[~without_marks.rows]
    if without_marks is not absent:
        absent, found = without_marks, numbers(present, options.decimal, options.thousands, likely)
    _require_two(name, column, present, absent, options)
    if found.share == 1 and (task == "regression" or not is_coded(present)):
        target, source, remarks = _of_numbers(name, present, found, task, options)
    else:
        if task != "multiclass" and found.share < 1 and (task == "regression" or found.share >= STRAY):
            _refuse_strings(name, present, found, task, options)
        target, source, remarks = _of_strings(name, present, task, options)
    target = replace(target, exact=options.exact_labels, absent=absent.values)
    if target.classes:
        _refuse_rare(target, present, options)
    return FoundTarget(
        target, ~absent.rows.to_numpy(bool), source, instead_of_values(column[absent.rows]), (*absent.remarks, *remarks)
    )


def instead_of_values(strings: pd.Series) -> dict[str, int]:
    """Returns what rows without a target have instead, as messages show it -> rows."""
    counts = strings.value_counts().items()
    return {repr(visible(str(text))) if text else "an empty cell": int(count) for text, count in counts}


def _absent(column: pd.Series, options: KindOptions) -> _Absent:
    """Finds the rows without a target: those of a usual sign, or a typed value, and of words that are no classes.

    NA, None and null are classes if the other values are names too, and as many rows have them as half of the rarest
    class. They mean missing beside numbers, yes and no.
    """
    folded = canonical_names(column)
    typed = tuple(canonical(text) for text in options.target_missing)
    is_sign = set(folded[folded != ""].unique()) == {"+", "-"}
    absent = (folded == "" if is_sign else options.missing.absent(column, words=False)) | folded.isin(typed)
    words = [word for word in folded[~absent].unique() if word in WORDS]
    if not words:
        return _Absent(absent, typed, ())
    counts = folded[~absent].value_counts()
    others = folded[~absent & ~folded.isin(words)]
    names = set(others.unique())
    is_named = bool(names) and numbers(others).share < STRAY
    everyone = options.missing.typed == ()  # nothing means missing, the user said
    least = 1 if everyone else max(LEAST, 0.5 * min((counts[name] for name in names), default=0))
    is_class = is_named and (everyone or not names <= BOOLEANS)
    gone = [word for word in words if not (is_class and counts[word] >= least)]
    spelled = [str(text) for text in column[folded.isin(words) & ~folded.isin(gone)].unique()]
    remarks = []
    shown = visible(str(column.name))
    if spelled:
        text = f"{shown}: {', '.join(map(repr, spelled))} is taken for a class, not for a missing value"
        remarks.append(Remark(text, setting(KEY, [*options.target_missing, *spelled])))
    if gone and is_named:
        texts = [repr(str(text)) for text in column[folded.isin(gone)].unique()]
        text = f"{shown}: {', '.join(texts)} is taken for a missing value, not for a class"
        remarks.append(Remark(text, setting("data.missing", [])))
    return _Absent(absent | folded.isin(gone), (*typed, *gone), tuple(remarks))


def _with_sentinel(column: pd.Series, absent: _Absent, found: ParsedNumbers, options: KindOptions) -> _Absent:
    """Adds the rows of a number such as -999 that is far from all others."""
    marks = sentinels(found.values) if options.missing.typed is None and found.share == 1 else ()
    if not marks:
        return absent
    rows = absent.rows.copy()
    rows[~absent.rows] = np.isin(found.values, marks)
    names = [canonical_number(mark) for mark in marks]
    text = f"{visible(str(column.name))}: {', '.join(names)} {'was' if len(names) == 1 else 'were'} taken for missing"
    return _Absent(rows, (*absent.values, *names), (*absent.remarks, Remark(text, setting("data.missing", []))))


def _require_two(name: str, column: pd.Series, present: pd.Series, absent: _Absent, options: KindOptions) -> None:
    if present.nunique() >= 2:
        return
    only = f"only {visible(present.iloc[0])!r}" if len(present) else "no value at all"
    counts = column[absent.rows & (column != "")].value_counts().items()
    instead = [f"{visible(str(text))!r} in {count} rows" for text, count in counts]
    missing = f"; {shortened(instead, 5)} means missing" if instead else ""
    way = ""
    if len(present) and options.missing.typed != () and canonical_names(column[absent.rows]).isin(WORDS).any():
        way = f". If it is a class, set {setting('data.missing', [])}"
    raise ValueError(f"data.target={visible(name)}: expected at least two different values; got {only}{missing}{way}")


def _of_numbers(
    name: str, present: pd.Series, found: ParsedNumbers, task: str, options: KindOptions
) -> tuple[Target, str, list[Remark]]:
    _refuse_infinite(name, present, found, options)
    distinct, counts = np.unique(found.values, return_counts=True)
    if task == "auto":
        _refuse_dates(name, present, options)
    task, source, remarks = _task_of_numbers(name, distinct, counts, found.format.unit, task)
    if found.ambiguous:
        other = {".": "comma", ",": "point"}[found.format.decimal]
        value = number(float(found.values[(present == found.ambiguous).to_numpy()][0]))
        text = f"{visible(name)}: {found.ambiguous!r} was read as {value}"
        remarks.append(Remark(text, setting("data.decimal", other)))
    if task == "regression":
        remarks += of_far_values(name, found.values)
        return Target(name, task, format=found.format), source, remarks
    _check_classes(name, task, len(distinct))
    classes = tuple(canonical_number(float(value)) for value in distinct)
    return Target(name, task, classes, format=found.format), source, remarks


def _task_of_numbers(
    name: str, distinct: NDArray[np.float64], counts: NDArray, unit: str, task: str
) -> tuple[str, str, list[Remark]]:
    """Returns the task, how it was found, and a remark where the other one is as likely."""
    if task != "auto":
        return task, "typed", []
    many, whole = len(distinct), bool((distinct == np.round(distinct)).all())
    if many == 2:
        return "binary", "two different numbers", []
    shown = visible(name)
    if whole and many <= MAX_CLASSES and not unit:
        text = f"{shown}: {many} different integers are taken for classes, not for a quantity"
        remark = Remark(text, setting("data.task", "regression"))
        return "multiclass", f"{many} different integers, at most {MAX_CLASSES}", [remark]
    remarks = []
    if whole and many <= 5 * MAX_CLASSES and counts.min() >= LEAST:
        text = f"{shown}: {many} different integers are taken for a quantity, not for classes"
        remarks.append(Remark(text, setting("data.task", "multiclass")))
    kind = f"numbers in {unit}" if unit else "integers" if whole else "numbers with decimals"
    return "regression", f"{many:,} different {kind}", remarks


def _of_strings(name: str, present: pd.Series, task: str, options: KindOptions) -> tuple[Target, str, list[Remark]]:
    if task == "auto":
        _refuse_dates(name, present, options)
    classes = spellings(present, options.exact_labels)
    if len(classes) > MAX_CLASSES and len(classes) > len(present) / LEAST:
        raise ValueError(
            f"data.target={visible(name)}: expected classes or numbers; got {len(classes):,} different strings in "
            f"{len(present):,} rows, such as {first_string(present)}. Predict another column"
        )
    _check_classes(name, task, len(classes))
    source = "typed" if task != "auto" else f"{len(classes)} different names"
    task = ("binary" if len(classes) == 2 else "multiclass") if task == "auto" else task
    names = ordered([next(iter(texts)) for texts in classes.values()])
    return Target(name, task, tuple(names)), source, _remarks_of_names(name, classes, options)


def _remarks_of_names(name: str, classes: Mapping[str, Mapping[str, int]], options: KindOptions) -> list[Remark]:
    shown, remarks = visible(name), []
    if same := merged(classes):
        remarks.append(Remark(f"{shown}: {same} is one class", setting("data.labels", "exact")))
    folded = {label: label.casefold() for label in classes}
    if len(classes) > 2 and set(folded.values()) <= BOOLEANS:
        several = ", ".join(repr(next(iter(texts))) for texts in classes.values())
        text = (
            f"{shown}: {several} are {len(classes)} classes; if they are two in several spellings, write one for each"
        )
        remarks.append(Remark(text))
    others = [next(iter(classes[label])) for label, key in folded.items() if key not in BOOLEANS]
    if len(classes) - len(others) == 2 and others:
        rows = sum(sum(classes[label].values()) for label, key in folded.items() if key not in BOOLEANS)
        named = shortened([repr(visible(each)) for each in others], 5)
        text = f"{shown}: {named} in {rows} rows makes {len(classes)} classes"
        remarks.append(Remark(text, setting(KEY, [*options.target_missing, *others])))
    stems: dict[str, list[str]] = {}
    for label in classes:
        stems.setdefault(label.rstrip(".,;:!? "), []).append(label)
    alike = [" and ".join(map(repr, map(visible, labels))) for labels in stems.values() if len(labels) > 1]
    if alike:
        remarks.append(Remark(f"{shown}: {shortened(alike, 5)} are different classes"))
    return remarks


def _refuse_dates(name: str, present: pd.Series, options: KindOptions) -> None:
    if present.str.fullmatch(r"\d{1,7}|\d{9,}").all():  # numbers, unless they have the eight digits of a date
        return
    found = dates(present, options.date_format)
    if found is not None and found.share >= STRAY:
        raise ValueError(
            f"data.target={visible(name)}: expected classes or numbers; got dates such as {first_string(present)}. "
            "Write the number that is to be predicted, such as days, into a column of its own"
        )


def _refuse_infinite(name: str, present: pd.Series, found: ParsedNumbers, options: KindOptions) -> None:
    large = present[np.abs(found.values) > FLOAT32_MAX]
    if len(large):
        strings = list(map(str, large.unique()[:MOST_OFFERED]))
        raise ValueError(
            f"data.target={visible(name)}: expected numbers below 1e38; got {first_string(large)}. To leave such rows "
            f"out, set {setting(KEY, [*options.target_missing, *strings])}"
        )


def _check_classes(name: str, task: str, classes: int) -> None:
    if classes < 2:
        raise ValueError(
            f"data.target={visible(name)}: expected at least two different values; got one, in several spellings. If "
            f"these are different, set {setting('data.labels', 'exact')}"
        )
    if task == "binary" and classes != 2:
        raise ValueError(
            f"data.task=binary: expected two values in {visible(name)!r}; got {classes}. Set data.task=auto"
        )


def _refuse_strings(name: str, present: pd.Series, found: ParsedNumbers, task: str, options: KindOptions) -> None:
    strings = present[np.isnan(found.values)]
    words = list(map(str, strings.unique()))
    ways = []
    if found.share > 0 and len(words) <= MOST_OFFERED:
        ways.append(f"to leave such rows out, set {setting(KEY, [*options.target_missing, *words])}")
    if min(sum(texts.values()) for texts in spellings(present, options.exact_labels).values()) >= LEAST:
        ways.append("if the column has classes, set data.task=multiclass")
    asked = "data.task=regression" if task == "regression" else f"data.target={visible(name)}"
    raise ValueError(f"{asked}: expected numbers in {visible(name)!r}; got {first_string(strings)}{_sentence(ways)}")


def _refuse_rare(target: Target, present: pd.Series, options: KindOptions) -> None:
    counts = np.bincount(target.numbers(present), minlength=len(target.classes))
    rare = [(name, int(count)) for name, count in zip(target.classes, counts, strict=True) if count < LEAST]
    if not rare:
        return
    spelled = _spelled(target, present, [name for name, _ in rare])
    ways = []
    if all(map(PLAIN_NUMBER.fullmatch, target.classes)):
        ways.append("if it is a quantity, set data.task=regression")
    if len(spelled) <= MOST_OFFERED and len(target.classes) - len(rare) >= 2:
        ways.append(f"to leave these rows out, set {setting(KEY, [*options.target_missing, *spelled])}")
    has = shortened([f"{visible(name)} has {count}" for name, count in rare], 5)
    raise ValueError(
        f"data.target={visible(target.name)}: expected at least {LEAST} rows of each class; {has}"
        f"{_sentence(ways) or '. Add rows of this class'}"
    )


def _spelled(target: Target, present: pd.Series, names: Sequence[str]) -> list[str]:
    """Returns how the file writes some classes."""
    rows = np.isin(np.array(target.classes, object)[target.numbers(present)], names)
    return list({canonical(text): text for text in map(str, present[rows].unique())}.values())


def _sentence(ways: Sequence[str]) -> str:
    text = "; ".join(ways)
    return f". {text[0].upper()}{text[1:]}" if ways else ""
