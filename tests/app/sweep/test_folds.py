"""Cross-validation as a sweep: each row is tested once, and the folds are replicates of one configuration."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from statistics import mean, stdev

import pytest

SMALL = ("trainer.max_epochs=1", "report=false", "model.depth=1", "model.width=4")
TABLE = ("data=csv", "data.path=t.csv", "data.target=y")


@pytest.fixture(autouse=True)
def table(tmp_path: Path) -> None:
    """A table of 60 rows of 20 customers."""
    lines = [f"{i % 7},{i % 5},{'yes' if i % 3 else 'no'},customer {i // 3}" for i in range(60)]
    (tmp_path / "t.csv").write_text("\n".join(["a,b,y,customer", *lines]) + "\n")


def jobs(tmp_path: Path) -> list[dict]:
    return [json.loads(file.read_text()) for file in tmp_path.glob("logs/train/multiruns/*/*/result.json")]


@pytest.mark.parametrize("typed", [["data.folds=3", "data.fold=range(3)"], ["data.folds=3"]], ids=" ".join)
def test_folds_are_one_row_of_the_sweep(warm_command, tmp_path, typed):
    done = warm_command("-m", *TABLE, *typed, *SMALL)
    assert done.returncode == 0, done.stderr
    found = jobs(tmp_path)
    fold_of = {word for result in found for word in result["overrides"] if word.startswith("data.fold=")}
    assert fold_of == {"data.fold=0", "data.fold=1", "data.fold=2"}
    tested = [result["metrics"]["test/acc"]["final"] for result in found]
    (file,) = tmp_path.glob("logs/train/multiruns/*/sweep.csv")
    with file.open() as lines:
        (row,) = csv.DictReader(lines)
    assert (row["runs"], row["ended"]) == ("3", "3")
    assert float(row["test/acc final mean"]) == pytest.approx(mean(tested))
    assert float(row["test/acc final sd"]) == pytest.approx(stdev(tested))
    assert "over 3 folds. 3 runs of 1 configurations: 3 completed." in done.stdout


def test_every_fold_of_every_configuration(warm_command, tmp_path):
    done = warm_command("-m", *TABLE, "data.folds=2", "data.group=customer", "act=relu,elu", *SMALL)
    assert done.returncode == 0, done.stderr
    assert len(jobs(tmp_path)) == 4
    assert "over 2 folds. 4 runs of 2 configurations: 4 completed." in done.stdout


def test_one_fold_of_all_may_be_chosen(warm_command, tmp_path):
    done = warm_command("-m", *TABLE, "data.folds=3", "data.fold=1", "seed=0,1", *SMALL)
    assert done.returncode == 0, done.stderr
    assert len(jobs(tmp_path)) == 2


def test_folds_without_a_sweep_are_refused(warm_command, tmp_path):
    done = warm_command(*TABLE, "data.folds=3", *SMALL)
    assert done.returncode == 1
    expected = (
        "gradvitals: data.folds=3: expected -m beside it, which trains every fold, or data.fold=0 ... 2, which trains "
        "one; got neither\n"
    )
    assert done.stderr == expected
    assert warm_command(*TABLE, "data.folds=3", "data.fold=2", *SMALL).returncode == 0
