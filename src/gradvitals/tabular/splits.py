"""Splits the rows of a table: at random by class, by group, by time, and in folds for cross-validation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import (
    GroupKFold,
    KFold,
    StratifiedGroupKFold,
    StratifiedKFold,
    TimeSeriesSplit,
    train_test_split,
)

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.numbers import plain_numbers

DRAWS = 100  # random splits of the groups, of which the most even one is taken
Cut = tuple[NDArray, NDArray]  # row numbers: those that are kept for the splits before, and those that are taken


class Parts(NamedTuple):
    """Row numbers of the three splits."""

    train: NDArray
    val: NDArray
    test: NDArray


def split_rows(
    y: NDArray,
    *,
    val: float = 0.1,
    test: float = 0.2,
    seed: int = 0,
    stratify: bool = True,
    group: NDArray | None = None,
    time: NDArray | None = None,
    folds: int | None = None,
    fold: int | None = None,
) -> Parts:
    """Returns the row numbers for training, validation and test.

    Args:
        y: targets ``(rows,)``, classes by number or name, as errors should show them.
        val, test: fractions of all rows.
        seed: seed of the split only, so that runs of different seeds are tested on the same rows.
        stratify: whether ``y`` contains classes. Each split then has the same proportions of them, as far as groups
            permit it, and at random at least as many rows as there are classes; by time the proportions are what they
            are.
        group: ``(rows,)``; rows of equal values are never in two splits.
        time: ``(rows,)``, values that can be sorted: the oldest rows train, the newest test. Rows of equal times are in
            the same split, so that its size is the nearest that is possible.
        folds: how many folds for cross-validation instead of ``test``. Each row is tested in exactly one fold.
            By time, ``folds`` blocks of consecutive times are tested after training on all times before the block; the
            oldest block is never tested, and validation is the newest ``val / (1 - test)`` of the rows before.
        fold: which of them is tested, from 0.

    Raises:
        ValueError: there are too few rows, groups, times, or rows of a class; no training row of a class is left; keys
            contradict each other.

    Example:
        >>> [len(part) for part in split_rows(np.arange(100) % 2)]
        [70, 10, 20]
        >>> [part.tolist() for part in split_rows(np.zeros(10), time=np.arange(10)[::-1], val=0.2)]
        [[9, 8, 7, 6, 5, 4], [3, 2], [1, 0]]
        >>> tests = [split_rows(np.arange(100) % 2, folds=5, fold=fold).test for fold in range(5)]
        >>> sorted(np.concatenate(tests).tolist()) == list(range(100))
        True
    """
    _check_keys(group, time, folds, fold)
    classes = np.asarray(y) if stratify else None
    if time is not None:
        parts = _by_time(np.asarray(time), val, test, folds, fold)
    elif group is not None:
        parts = _by_group(pd.factorize(np.asarray(group))[0], classes, val, test, seed, folds, fold)
    else:
        parts = _at_random(np.asarray(y), stratify, val, test, seed, folds, fold)
    if min(map(len, parts)) < 2:
        raise ValueError(_too_few(f"{', '.join(str(len(part)) for part in parts)} of {len(y)}"))
    if classes is not None:
        _require_classes(classes, parts, "group" if group is not None else "time")
    return parts


def _check_keys(group: NDArray | None, time: NDArray | None, folds: int | None, fold: int | None) -> None:
    if group is not None and time is not None:
        raise ValueError("data.group and data.time: expected one of them; got both")
    if folds is None:
        if fold is not None:
            raise ValueError(f"data.fold={fold}: expected data.folds=K beside it, the number of folds; got none")
        return
    if folds < 2:
        raise ValueError(f"data.folds: expected at least 2; got {folds}")
    if fold is None:
        raise ValueError(
            f"data.folds={folds}: expected -m beside it, which trains every fold, or data.fold=0 ... {folds - 1}, "
            "which trains one; got neither"
        )
    if not 0 <= fold < folds:
        raise ValueError(f"data.fold: expected 0 ... {folds - 1} beside data.folds={folds}; got {fold}")


def _too_few(rows: int | str) -> str:
    return f"data: expected enough rows for 2 or more each in training, validation and test; got {rows} rows"


def _require_classes(classes: NDArray, parts: Parts, key: str) -> None:
    """Raises if a class has no training row, so that no net could learn it."""
    names, counts = np.unique(classes, return_counts=True)
    absent = ~np.isin(names, classes[parts.train])
    if absent.any():
        shown = ", ".join(f"{name} ({count} rows)" for name, count in zip(names[absent], counts[absent], strict=True))
        remedy = "in other groups" if key == "group" else "of earlier times"
        raise ValueError(
            f"data.{key}: expected training rows of each class; got none of {shown}. Leave these rows out of the "
            f"table, or add more {remedy}"
        )


def _at_random(
    y: NDArray, stratify: bool, val: float, test: float, seed: int, folds: int | None, fold: int | None
) -> Parts:
    def cut(rows: NDArray, share: float) -> Cut:
        classes = len(np.unique(y[rows])) if stratify else 0
        size = share if math.ceil(share * len(rows)) >= classes else classes  # at least a row of each class
        try:
            kept, taken = train_test_split(
                rows, test_size=size, random_state=seed, stratify=y[rows] if stratify else None
            )
        except ValueError:
            raise ValueError(_too_few_of_a_class(y, folds) if stratify else _too_few(len(y))) from None
        return kept, taken

    rows = np.arange(len(y))
    if folds is None or fold is None:
        rest, last = cut(rows, test)
        return Parts(*cut(rest, val / (1 - test)), last)
    _require_rows(y, stratify, folds)
    splitter = (StratifiedKFold if stratify else KFold)(folds, shuffle=True, random_state=seed)
    label = np.unique(y, return_inverse=True)[1] if stratify else None  # because it refuses classes such as 1.5
    rest, last = list(splitter.split(rows, label))[fold]
    return Parts(*cut(rest, val * len(rows) / len(rest)), last)


def _too_few_of_a_class(y: NDArray, folds: int | None) -> str:
    names, counts = np.unique(y, return_counts=True)
    needed = 3 if folds is None else max(folds, 4 if folds == 2 else 3)
    rare = [(str(name), count) for name, count in zip(names, counts, strict=True) if count < needed]
    if not rare or len(y) < 3 * 2:
        return _too_few(len(y))
    ways = []
    if plain_numbers(list(map(str, names))) is not None:
        ways.append("if they are a quantity, set data.task=regression")
    if len(names) - len(rare) >= 2:
        ways.append(f"to leave these rows out, set {setting('data.target_missing', [name for name, _ in rare])}")
    has = shortened([f"{visible(name)} has {count}" for name, count in rare], 5)
    how = "; ".join(ways) or "add rows of these classes"
    key = "data" if folds is None else f"data.folds={folds}"
    return (
        f"{key}: expected at least {needed} rows of each class, for training, validation and test; {has}. "
        f"{how[0].upper()}{how[1:]}"
    )


def _require_rows(y: NDArray, stratify: bool, folds: int) -> None:
    """Raises if a fold would test no row of a class, or leave none for training and validation."""
    names, counts = np.unique(y, return_counts=True) if stratify else (np.array(["all"]), np.array([len(y)]))
    rarest, needed = counts.argmin(), max(folds, 3)
    if counts[rarest] < needed:
        what = f"rows of each class; {names[rarest]} has" if stratify else "rows; got"
        fewer = f"Set data.folds={counts[rarest]} or less, or leave" if counts[rarest] >= 3 else "Leave"
        remedy = f". {fewer} these rows out of the table" if stratify else ""
        raise ValueError(f"data.folds={folds}: expected at least {needed} {what} {counts[rarest]}{remedy}")


def _by_group(
    code: NDArray, classes: NDArray | None, val: float, test: float, seed: int, folds: int | None, fold: int | None
) -> Parts:
    """Splits by the number of each row's group."""
    label = np.zeros(len(code), dtype=np.int64) if classes is None else np.unique(classes, return_inverse=True)[1]
    found = len(np.unique(code))
    needed = 3 if folds is None else max(folds, 3)
    if found < needed:
        key = "data.group" if folds is None else f"data.folds={folds}"
        raise ValueError(f"{key}: expected at least {needed} different groups in the column of data.group; got {found}")
    rows = np.arange(len(code))
    if folds is None or fold is None:
        rest, last = _cut_groups(rows, code, label, test, seed, left=2)
    else:
        _require_rows(label if classes is None else np.asarray(classes), classes is not None, folds)
        rest, last = _group_folds(code, None if classes is None else label, seed, folds)[fold]
    if len(np.unique(code[rest])) < 2:
        raise ValueError(
            f"data.folds={folds}: expected at least 2 groups beside each fold, for training and validation; got 1. "
            f"Set a larger data.folds, up to {found}"
        )
    share = val / (1 - test) if folds is None else val * len(rows) / len(rest)
    return Parts(*_cut_groups(rest, code, label, share, seed, left=1), last)


def _group_folds(code: NDArray, label: NDArray | None, seed: int, folds: int) -> list[Cut]:
    if label is not None:
        return list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(code, label, code))
    renumbered = np.random.default_rng(seed).permutation(code.max() + 1)[code]  # because GroupKFold has no seed
    return list(GroupKFold(folds).split(code, groups=renumbered))


def _cut_groups(rows: NDArray, code: NDArray, label: NDArray, share: float, seed: int, left: int) -> Cut:
    """Takes a share of the rows by groups: of many random draws of groups the most even one.

    That is the draw that keeps each class in ``left`` groups, then takes some of each class, then has the share of
    rows of each class that is nearest to ``share``.
    """
    groups, group = np.unique(code[rows], return_inverse=True)
    counts = np.zeros((len(groups), label.max() + 1))
    np.add.at(counts, (group, label[rows]), 1)
    counts = counts[:, counts.any(0)]  # (groups, classes)
    holders, total = (counts > 0).sum(0), counts.sum(0)

    def drawn(order: NDArray) -> NDArray:
        taken = np.cumsum(counts[order].sum(1))[:-1]
        return order[: np.abs(taken - share * len(rows)).argmin() + 1]

    def unevenness(chosen: NDArray) -> tuple[float, float, float]:
        found = (counts[chosen] > 0).sum(0)
        too_few = np.maximum(left - (holders - found), 0).sum()
        off = np.abs(counts[chosen].sum(0) / total - share).mean()
        return float(too_few), float((found == 0).sum()), float(off)

    generator = np.random.default_rng(seed)
    draws = (drawn(generator.permutation(len(groups))) for _ in range(DRAWS))
    is_taken = np.isin(group, min(draws, key=unevenness))
    return rows[~is_taken], rows[is_taken]


def _by_time(time: NDArray, val: float, test: float, folds: int | None, fold: int | None) -> Parts:
    times, number = np.unique(time, return_inverse=True)
    needed = 3 if folds is None else folds + 2
    if len(times) < needed:
        key = "data.time" if folds is None else f"data.folds={folds}"
        raise ValueError(
            f"{key}: expected at least {needed} different times in the column of data.time; got {len(times)}"
        )
    order = np.argsort(number, kind="stable")
    if folds is None or fold is None:
        start, end = _boundary(number[order], 1 - test, first=2), len(times)
    else:
        before, tested = list(TimeSeriesSplit(folds).split(times))[fold]
        start, end = len(before), int(tested[-1]) + 1
    earlier = order[number[order] < start]
    middle = _boundary(number[earlier], 1 - val / (1 - test), first=1)
    chosen = number[order]
    return Parts(
        order[chosen < middle],
        order[(middle <= chosen) & (chosen < start)],
        order[(start <= chosen) & (chosen < end)],
    )


def _boundary(number: NDArray, share: float, first: int) -> int:
    """Returns which of the sorted times 0, 1, ... begins the newer part, so that the older one has a share of the rows.

    Args:
        number: ``(rows,)``, the time of each row, sorted.
        share: of the rows that should be older.
        first: the earliest that may be returned.
    """
    older = np.cumsum(np.bincount(number))[:-1]  # rows before the times 1, 2, ...
    return first + int(np.abs(older[first - 1 :] - share * len(number)).argmin())
