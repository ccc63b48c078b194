from pathlib import Path

import numpy as np
import pytest
import torch

from gradvitals.data.csv import Csv


@pytest.fixture
def table(tmp_path):
    """Writes a CSV of the given header and rows; returns the path."""

    def write(header: str, rows: list[str]) -> str:
        path = Path(tmp_path, "table.csv")
        path.write_text("\n".join([header, *rows]) + "\n")
        return str(path)

    return write


def rows_of(*columns) -> list[str]:
    return [",".join(map(str, row)) for row in zip(*columns, strict=True)]


def whole(data: Csv) -> torch.Tensor:
    s = data.loaded
    return torch.cat([s.train.x, s.val.x, s.test.x])


def test_gaps_become_the_training_median(table):
    # 99 known numbers 1 ... 99 and one gap; unscaled, the gap must hold the median of the training rows.
    x = [*range(1, 100), ""]
    data = Csv(table("x,y", rows_of(x, [i % 2 for i in range(100)])), "y", scaling="raw")
    from gradvitals.tabular.splits import split_rows

    train = split_rows(np.array([i % 2 for i in range(100)]))[0]
    known = [x[row] for row in train if x[row] != ""]
    assert sorted(whole(data)[:, 0].tolist()) == sorted([*range(1, 100), float(np.median(known))])


def test_words_become_one_hot_and_unknown_ones_nothing(table):
    data = Csv(table("colour,y", rows_of(["red", "green", "blue", ""] * 25, [0, 1] * 50)), "y")
    x = data.loaded.train.x
    assert x.shape[1] == 4  # blue, green, missing, red
    assert (x.sum(1) == 1).all()


def test_numbers_are_standardised_by_training_rows(table):
    generator = np.random.default_rng(0)
    data = Csv(table("x,y", rows_of(generator.normal(50, 10, 200).round(3), [0, 1] * 100)), "y")
    assert float(data.loaded.train.x.mean()) == pytest.approx(0, abs=1e-5)
    assert float(data.loaded.test.x.mean()) != pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("target", "task", "classes"),
    [
        ([0, 1] * 50, "binary", 2),
        (["yes", "no"] * 50, "binary", 2),
        ([True, False] * 50, "binary", 2),
        ([3, 5, 9, 5] * 25, "multiclass", 3),
        (["a", "b", "c", "d"] * 25, "multiclass", 4),
        ([i * 0.5 for i in range(100)], "regression", 1),
        (list(range(100)), "regression", 1),
    ],
)
def test_task_is_read_off_the_target(table, target, task, classes):
    splits = Csv(table("x,y", rows_of(range(100), target)), "y").loaded
    assert (splits.task, splits.num_classes) == (task, classes)
    assert splits.train.y.dtype == (torch.float32 if task == "regression" else torch.int64)


def test_task_may_be_stated(table):
    path = table("x,y", rows_of(range(100), [3, 5, 9, 5] * 25))
    assert Csv(path, "y", task="regression").loaded.task == "regression"


def test_rows_without_a_target_are_left_out(table):
    data = Csv(table("x,y", rows_of(range(100), [0, 1, "", 1] * 25)), "y")
    assert len(whole(data)) == 75


def test_booleans_with_gaps_and_huge_whole_numbers(table):
    path = table("b,n,y", rows_of(["True", "False", ""] * 20, [10**25 + i for i in range(60)], [0, 1] * 30))
    x = Csv(path, "y").loaded.train.x
    assert x.shape[1] == 1 + 3
    assert torch.isfinite(x).all()


def test_names_that_look_like_numbers_or_end_in_blanks(table):
    splits = Csv(table("4,x ,y", rows_of(["a", "b", "c"] * 20, range(60), range(60))), 4, drop=["x"]).loaded
    assert splits.num_classes == 3


def test_columns_may_be_dropped_or_taken_as_categories(table):
    path = table("id,kind,x,y", rows_of([f"r{i}" for i in range(150)], [1, 2, 3] * 50, range(150), [0, 1] * 75))
    data = Csv(path, "y", drop=["id"], categorical=["kind"])
    assert data.loaded.train.x.shape[1] == 1 + 3


def test_real_table_with_missing_values(data_root):
    splits = Csv(str(data_root / "water_potability.csv"), "Potability").loaded
    assert len(splits.train) + len(splits.val) + len(splits.test) == 3275
    assert (splits.task, splits.train.x.shape[1]) == ("binary", 9)
    assert torch.isfinite(splits.train.x).all()


N = 30
GOOD = list(range(N))
HALF = [0, 1] * (N // 2)


@pytest.mark.parametrize(
    ("header", "columns", "options", "words"),
    [
        ("x,y", (GOOD, HALF), {"target": "z"}, "data.target: expected a column of .*, such as x, y; got 'z'"),
        ("x,y", (GOOD, HALF), {"target": ""}, "got no name"),
        ("x,y", (GOOD, [1] * N), {}, "data.target=y: expected at least two different values; got only"),
        ("x,y", (GOOD, [""] * N), {}, "got no value at all"),
        ("x,y", ([*GOOD[:-1], "abc"], HALF), {}, r"expected numbers in column 'x'; got 'abc' in line 31"),
        ("x,y", ([*GOOD[:-1], "inf"], HALF), {}, "expected numbers below 1e38 in column 'x'; got inf in line 31"),
        ("x,y", (GOOD, [*HALF[:-1], 2]), {}, "expected at least 3 rows of each class; .*2.* has 1"),
        (
            "x,y",
            (GOOD, [f"c{i}" for i in GOOD]),
            {},
            "expected classes or numbers; got 30 different strings in 30 rows",
        ),
        (
            "x,y",
            (GOOD, ["a", "b"] * 15),
            {"task": "regression"},
            "data.task=regression: expected numbers in 'y'; got 'a'",
        ),
        ("x,y", (GOOD, [0, 1, 2] * 10), {"task": "binary"}, "data.task=binary: expected two values in 'y'; got 3"),
        ("x,y", (GOOD, HALF), {"task": "sorting"}, "data.task: expected one of auto, multiclass, binary, regression"),
        ("x,y", (GOOD, HALF), {"drop": ["w"]}, "data.drop: expected a column"),
        ("x,y", (GOOD, HALF), {"drop": ["x"]}, "expected columns besides the target"),
        ("x,y", ([], []), {}, "expected rows below the header; got none"),
    ],
)
def test_bad_tables_say_what_was_expected(table, header, columns, options, words):
    with pytest.raises(ValueError, match=words):
        Csv(table(header, rows_of(*columns)), **{"target": "y", **options}).loaded


def test_a_trailing_comma_shifts_nothing(table):
    data = Csv(table("x,y", [f"{i},{i % 2}," for i in range(60)]), "y", scaling="raw")
    assert sorted(whole(data)[:, 0].tolist()) == list(range(60))


def test_names_of_rows_are_no_categories(table):
    path = table("name,y", rows_of([f"n{i}" for i in range(300)], [0, 1] * 150))
    with pytest.raises(
        ValueError, match=r"name: free text or an identifier: 300 different strings in 300 rows.*categorical"
    ):
        Csv(path, "y").loaded


def test_missing_and_unreadable_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"data.path: expected a CSV file; there is none at"):
        Csv(str(tmp_path / "nope.csv"), "y").loaded
    with pytest.raises(ValueError, match="data=csv needs data.path=FILE and data.target=COLUMN"):
        Csv("", "y").loaded
    for name, (content, words) in {
        "empty.csv": (b"", "expected a header and rows below it; the file is empty"),
        "ragged.csv": (b"x,y\n1,2\n1,2,3\n", "line 3: expected 2 cells, as the header has; got 3"),
        "wide.csv": (b"x,y\n1,2,9\n3,4,9\n", "line 2: expected 2 cells, as the header has; got 3"),
        "binary.csv": (bytes(range(256)) * 8, "got bytes that are no text"),
    }.items():
        Path(tmp_path, name).write_bytes(content)
        with pytest.raises(ValueError, match=words):
            Csv(str(tmp_path / name), "y").loaded


def test_a_relative_path_starts_at_the_root(table, tmp_path):
    path = table("x,y", [f"{i},{i % 2}" for i in range(40)])
    assert len(Csv("table.csv", "y", root=str(tmp_path)).loaded.test) == 8
    assert len(Csv(path, "y", root="elsewhere").loaded.test) == 8  # an absolute one stays
    with pytest.raises(
        FileNotFoundError, match=r"data.path: expected a CSV file; there is none at .*elsewhere/table.csv"
    ):
        Csv("table.csv", "y", root="elsewhere").loaded


def test_a_path_may_begin_at_the_home_folder(table, tmp_path, monkeypatch):
    table("x,y", [f"{i},{i % 2}" for i in range(40)])
    monkeypatch.setenv("HOME", str(tmp_path))
    assert len(Csv("~/table.csv", "y").loaded.test) == 8
