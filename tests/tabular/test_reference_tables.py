"""Tables that were once read silently wrong, or refused without a way out, with what they contain."""

from pathlib import Path

import pytest
import torch

from gradvitals.data.csv import Csv
from tests.conftest import ROOT
from tests.faults.as_typed import run

TABLES = Path(__file__).parents[1] / "reference" / "tables"


def read(name: str, target: str, **options) -> Csv:
    data = Csv(str(next(TABLES.glob(f"{name}-*.csv"))), target, scaling="raw", **options)
    data.setup()
    return data


@pytest.mark.parametrize(
    ("name", "target", "task", "classes", "features"),
    [
        ("10", "disorder", "multiclass", {"Apnea": 12, "Insomnia": 13, "None": 35}, ["hours"]),
        ("12", "answer", "binary", {"no": 45, "yes": 45}, ["x"]),
        ("14", "y", "binary", {"0": 93, "1": 107}, ["rating", "z"]),
        ("15", "grade", "regression", {}, ["a"]),
        ("17", "y", "binary", {"0": 39, "1": 42}, ["x"]),
        ("19", "y", "binary", {"0": 45, "1": 45}, ["a"]),
        ("22", "y", "binary", {"0": 60, "1": 60}, ["x"]),
        ("23", "y", "binary", {"0": 60, "1": 60}, ["x"]),
        ("24", "y", "binary", {"0": 20, "1": 20}, ["a", "b"]),
        ("30", "label", "multiclass", {"A": 115, "B": 119, "C": 166}, ["colour", "v"]),
    ],
)
def test_what_a_table_contains(name, target, task, classes, features):
    data = read(name, target)
    assert (data.description.task, data.description.classes) == (task, classes)
    assert [column.name for column in data.preparation.columns] == features
    assert data.description.rows == (sum(classes.values()) or 100)


@pytest.mark.parametrize(
    ("name", "target", "words"),
    [
        ("10", "disorder", "'None' is taken for a class"),
        ("12", "answer", "blanks around 59"),
        ("19", "y", "it would predict the target"),
    ],
)
def test_what_is_remarked(name, target, words):
    assert any(words in remark.text for remark in read(name, target).description.remarks)


def test_rows_without_a_target_are_counted():
    (left_out,) = read("17", "y").description.left_out
    assert (left_out.rows, left_out.examples) == (9, ("'?' in 9 rows",))


@pytest.mark.parametrize(("name", "column", "first"), [("14", 0, 6.3), ("24", 1, 0.75)])
def test_decimal_commas(name, column, first):
    splits = read(name, "y").loaded
    x = torch.cat([splits.train.x, splits.val.x, splits.test.x])
    assert (x[:, column] == torch.tensor(first)).any()
    assert x.abs().max() < 10


def test_grades_are_a_quantity():
    splits = read("15", "grade").loaded
    y = torch.cat([splits.train.y, splits.val.y, splits.test.y])
    assert sorted({round(value, 1) for value in y.tolist()}) == [1.0, 1.3, 1.7, 2.0, 2.3]


@pytest.mark.parametrize("name", ["22", "23"])
def test_names_are_left_out_with_a_reason(name):
    columns = {column.name: column for column in read(name, "y").description.columns}
    left_out = [column for column in columns.values() if column.kind == "left out"]
    assert len(left_out) == int(name) - 21
    assert all("120 different strings in 120 rows" in column.detail for column in left_out)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What eval.py says of each new table, after one training on table 30."""
    folder = tmp_path_factory.mktemp("evaluated")
    words = ["data=csv", f"data.path={TABLES / '30-eval-train.csv'}", "data.target=label", "hydra.run.dir=run"]
    assert run(words, folder, 90).code == 0

    def evaluate(file: Path | str) -> str:
        ended = run(["run", f"data.path={file}"], folder, 60, ROOT / "src" / "eval.py")
        assert ended.code == 0, ended.err
        return ended.out

    return evaluate


def accuracy(said: str) -> float:
    words = said.split()
    return float(words[words.index("test/acc") + 1])


def test_an_absent_class_changes_no_number(evaluated):
    said = evaluated(TABLES / "31-eval-a-class-is-absent.csv")
    assert accuracy(said) == 1
    assert "120" in said
    assert "differs" not in said


def test_columns_in_another_order_change_no_number(evaluated, tmp_path):
    rows = [line.split(",") for line in (TABLES / "30-eval-train.csv").read_text().splitlines()]
    shuffled = tmp_path / "shuffled.csv"
    shuffled.write_text("\n".join(",".join([label, v, colour]) for colour, v, label in rows))
    assert accuracy(evaluated(shuffled)) == pytest.approx(1, abs=0.01)


def test_a_new_word_is_named(evaluated):
    said = evaluated(TABLES / "32-eval-another-word.csv")
    assert "colour: new level 'yellow' (49 rows)" in said
    assert 0.5 < accuracy(said) < 1


def test_a_shift_is_named(evaluated):
    assert "v: the mean 150.7 is 11 deviations from the training rows' 49.67" in evaluated(
        TABLES / "33-eval-shifted.csv"
    )


def test_the_training_table_is_tested_on_what_was_held_out(evaluated):
    said = evaluated(TABLES / "30-eval-train.csv")
    assert "80, the test split" in said
    assert accuracy(said) > 0.95
