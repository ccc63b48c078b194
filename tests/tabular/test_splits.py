"""Splits of tables that can be checked by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest

from gradvitals.tabular.splits import Parts, split_rows


def is_whole(parts: Parts, rows: int) -> bool:
    return sorted(np.concatenate(parts).tolist()) == list(range(rows))


def sizes(parts: Parts) -> list[int]:
    return [len(part) for part in parts]


def test_split_is_stratified_disjoint_and_whole():
    y = np.repeat([0, 1], [300, 100])
    parts = split_rows(y)
    assert is_whole(parts, 400)
    assert sizes(parts) == [280, 40, 80]
    assert [y[part].mean() for part in parts] == [0.25] * 3


def test_split_does_not_depend_on_the_seed_of_the_run():
    y = np.arange(100) % 5
    np.random.seed(1)
    first = split_rows(y)
    np.random.seed(2)
    assert all((a == b).all() for a, b in zip(first, split_rows(y), strict=True))


@pytest.mark.parametrize(("rows", "classes"), [(20, 3), (30, 6), (40, 6), (6, 2), (9, 3), (60, 20)])
@pytest.mark.parametrize("seed", range(3))
def test_every_split_has_every_class_of_a_few_rows(rows, classes, seed):
    y = np.arange(rows) % classes
    parts = split_rows(y, seed=seed)
    assert is_whole(parts, rows)
    assert [len(np.unique(y[part])) for part in parts] == [classes] * 3


GROUPED = {"without folds": {}, **{f"fold {fold} of 5": {"folds": 5, "fold": fold} for fold in range(5)}}


@pytest.mark.parametrize("folds", GROUPED.values(), ids=GROUPED)
@pytest.mark.parametrize("stratify", [True, False])
def test_rows_of_a_group_are_in_one_split(folds, stratify):
    group = np.repeat([f"patient {i}" for i in range(50)], [4] * 50)
    y = np.arange(200) % 2
    parts = split_rows(y, group=group, stratify=stratify, **folds)
    assert is_whole(parts, 200)
    assert sizes(parts) == [140, 20, 40]  # 35, 5 and 10 groups of four rows
    names = [set(group[part]) for part in parts]
    assert sum(map(len, names)) == 50


def test_three_groups_are_enough():
    group = np.repeat(["a", "b", "c"], [14, 2, 4])
    parts = split_rows(np.arange(20) % 2, group=group)
    assert [set(group[part]) for part in parts] == [{"a"}, {"b"}, {"c"}]  # 70 %, 10 % and 20 % of the rows


@pytest.mark.parametrize("seed", range(5))
def test_groups_of_one_class_each_leave_every_class_in_every_split(seed):
    # Each of three classes in five groups of different sizes: as patients of which each has one diagnosis.
    group = np.repeat(np.arange(15), [9, 7, 5, 3, 1] * 3)
    y = np.repeat(["healthy", "flu", "rare"], [25, 25, 25])
    parts = split_rows(y, group=group, seed=seed)
    assert [set(y[part]) for part in parts] == [{"healthy", "flu", "rare"}] * 3


@pytest.mark.parametrize("seed", range(5))
def test_a_class_of_two_groups_is_trained_and_validated_before_it_is_tested(seed):
    group = np.repeat(np.arange(22), 5)
    y = np.repeat([0, 1], [100, 10])  # class 1: groups 20 and 21
    parts = split_rows(y, group=group, seed=seed)
    assert [set(y[part]) for part in parts] == [{0, 1}, {0, 1}, {0}]


def test_group_sizes_count_and_not_their_number():
    group = np.repeat(np.arange(41), [60, *[1] * 40])  # one group of 60 rows, 40 groups of one
    parts = split_rows(np.zeros(100), group=group, stratify=False)
    assert sizes(parts) == [70, 10, 20]


def test_the_oldest_rows_train_and_the_newest_test():
    time = np.array([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    parts = split_rows(np.arange(10) % 2, time=time, val=0.2)
    assert [sorted(time[part]) for part in parts] == [[0, 1, 2, 3, 4, 5], [6, 7], [8, 9]]


def test_rows_of_one_time_are_not_torn_apart():
    time = np.repeat([2019, 2020, 2021, 2022], [33, 33, 14, 20])
    parts = split_rows(np.zeros(100), time=time, stratify=False)
    assert [set(time[part]) for part in parts] == [{2019, 2020}, {2021}, {2022}]  # 66, 14 and 20 rows
    swapped = split_rows(np.zeros(100), time=np.repeat([1, 2, 3], [2, 2, 96]), stratify=False)
    assert sizes(swapped) == [2, 2, 96]  # there is no other way


def test_times_may_be_dates():
    time = np.datetime64("2020-01-01") + np.arange(20)[::-1]
    parts = split_rows(np.zeros(20), time=time, stratify=False)
    assert [part.tolist() for part in parts] == [[*range(19, 5, -1)], [5, 4], [3, 2, 1, 0]]


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize(
    "way", [{}, {"stratify": False}, {"group": np.arange(120) // 3}, {"group": np.arange(120) // 3, "stratify": False}]
)
def test_every_row_is_tested_in_exactly_one_fold(way, seed):
    y = np.arange(120) % 2
    parts = [split_rows(y, folds=4, fold=fold, seed=seed, **way) for fold in range(4)]
    assert sorted(np.concatenate([part.test for part in parts]).tolist()) == list(range(120))
    assert all(is_whole(part, 120) for part in parts)
    assert {tuple(sizes(part)) for part in parts} == {(78, 12, 30)}  # validation is a tenth of all rows


def test_folds_have_the_same_proportions_of_the_classes():
    for names in (["no", "yes"], [1.5, 2.5]):
        y = np.repeat(names, [180, 20])
        for fold in range(5):
            parts = split_rows(y, folds=5, fold=fold)
            assert [(y[part] == names[1]).sum() for part in parts] == [14, 2, 4]


def test_folds_by_time_are_tested_after_training_on_what_was_before():
    time = np.arange(24)
    parts = [split_rows(np.zeros(24), time=time, folds=2, fold=fold, stratify=False, val=0.2) for fold in range(2)]
    assert [[(part.min(), part.max()) for part in each] for each in parts] == [
        [(0, 5), (6, 7), (8, 15)],
        [(0, 11), (12, 15), (16, 23)],
    ]


Y = np.arange(60) % 2
RARE = np.repeat(["common", "rare"], [57, 3])


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ({"y": [0, 1, 1]}, "expected enough rows for 2 or more each in training, validation and test; got 3 rows"),
        (
            {"y": np.repeat(["a", "b", "it's"], [20, 20, 2])},
            "data: expected at least 3 rows of each class, for training, validation and test; it's has 2. To leave "
            "these rows out, set 'data.target_missing=[\"it'\"'\"'s\"]'",
        ),
        (
            {"y": np.repeat([0, 1, 2], [20, 1, 2])},
            "data: expected at least 3 rows of each class, for training, validation and test; 1 has 1, 2 has 2. If they "
            "are a quantity, set data.task=regression",
        ),
        (
            {"y": np.repeat(["a", "b"], [20, 1])},
            "data: expected at least 3 rows of each class, for training, validation and test; b has 1. Add rows of "
            "these classes",
        ),
        (
            {"group": np.repeat([1, 2, 3], [58, 1, 1])},
            "data: expected enough rows for 2 or more each in training, validation and test; got 58, 1, 1 of 60 rows",
        ),
        (
            {"group": Y},
            "data.group: expected at least 3 different groups in the column of data.group; got 2",
        ),
        (
            {"group": np.arange(60) % 4, "folds": 5, "fold": 0},
            "data.folds=5: expected at least 5 different groups in the column of data.group; got 4",
        ),
        (
            {"group": np.arange(60) % 3, "folds": 2, "fold": 0},
            "data.folds=2: expected at least 2 groups beside each fold, for training and validation; got 1. "
            "Set a larger data.folds, up to 3",
        ),
        ({"time": Y}, "data.time: expected at least 3 different times in the column of data.time; got 2"),
        (
            {"time": np.arange(60) // 10, "folds": 5, "fold": 0},
            "data.folds=5: expected at least 7 different times in the column of data.time; got 6",
        ),
        (
            {"time": np.arange(60), "y": RARE},
            "data.time: expected training rows of each class; got none of rare (3 rows). Leave these rows out of the "
            "table, or add more of earlier times",
        ),
        ({"time": np.arange(60), "group": Y}, "data.group and data.time: expected one of them; got both"),
        (
            {"y": RARE, "folds": 5, "fold": 0},
            "data.folds=5: expected at least 5 rows of each class; rare has 3. Set data.folds=3 or less, or leave "
            "these rows out of the table",
        ),
        (
            {"y": np.repeat(["common", "rare"], [57, 2]), "folds": 2, "fold": 0},
            "data.folds=2: expected at least 3 rows of each class; rare has 2. Leave these rows out of the table",
        ),
        (
            {"y": np.arange(4), "stratify": False, "folds": 9, "fold": 0},
            "data.folds=9: expected at least 9 rows; got 4",
        ),
        ({"fold": 2}, "data.fold=2: expected data.folds=K beside it, the number of folds; got none"),
        (
            {"folds": 5},
            "data.folds=5: expected -m beside it, which trains every fold, or data.fold=0 ... 4, which trains one; "
            "got neither",
        ),
        ({"folds": 5, "fold": 5}, "data.fold: expected 0 ... 4 beside data.folds=5; got 5"),
        ({"folds": 1, "fold": 0}, "data.folds: expected at least 2; got 1"),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(way, message):
    arguments = {"y": Y} | way
    with pytest.raises(ValueError, match=re.escape(message)):
        split_rows(np.asarray(arguments.pop("y")), **arguments)


def test_a_class_of_which_a_fold_leaves_one_row_is_refused():
    refused = []
    for fold in range(2):
        try:
            split_rows(RARE, folds=2, fold=fold)
        except ValueError as error:
            refused.append(str(error))
    assert refused == [
        "data.folds=2: expected at least 4 rows of each class, for training, validation and test; rare has 3. Add rows "
        "of these classes"
    ]


def test_a_fold_that_tests_the_only_group_of_a_class_is_refused():
    message = (
        "data.group: expected training rows of each class; got none of rare (3 rows). Leave these rows out of the "
        "table, or add more in other groups"
    )
    refused = []
    for fold in range(3):
        try:
            split_rows(RARE, group=np.arange(60) // 3, folds=3, fold=fold)
        except ValueError as error:
            refused.append(str(error))
    assert refused == [message]
