"""A trained network on a table is tested on another table by names, levels, scales and classes of the first one."""

import json

import pandas as pd
import pytest
import torch

from gradvitals.app.commands.evaluate import evaluate
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from tests.app.commands.conftest import SHORT, colors, houses, train_as_typed


@pytest.fixture
def tested(colors_run, tmp_path):
    def on(table: pd.DataFrame):
        file = tmp_path / "new.csv"
        table.to_csv(file, index=False)
        return evaluate(colors_run, [f"data.path={file}"])

    return on


def test_the_training_table_is_tested_on_its_test_split(colors_run):
    found = evaluate(colors_run)
    result = json.loads((colors_run / "result.json").read_text())["metrics"]
    assert found.metrics == pytest.approx({tag: result[tag]["final"] for tag in found.metrics})
    assert found.metrics["test/acc"] == 1.0
    assert str(found).startswith("rows         80, the test split of ")


@pytest.mark.parametrize(("split", "remarks"), [("true", 0), ("false", 1)])
def test_training_rows_that_are_tested_are_called_so(train_here, tmp_path, split, remarks):
    words = ("data=iris", f"data.split={split}", "trainer.max_epochs=1", *SHORT)
    found = evaluate(train_as_typed(tmp_path, train_here, *words))
    assert len(found.remarks) == remarks
    assert ("the training rows: these data have no test rows of their own" in str(found)) == remarks


def test_every_row_of_another_table_is_tested(tested):
    found = tested(colors(120, seed=1))
    assert str(found).startswith("rows         120, all of ")
    assert found.metrics["test/acc"] == 1.0
    assert len(found.remarks) == 1  # nothing differs


def test_a_class_is_absent(tested):
    table = colors(300, seed=1)
    found = tested(table[table["label"] != "A"])
    assert {tag: value for tag, value in found.metrics.items() if tag != "test/loss"} == {
        f"test/{name}": 1.0 for name in ("acc", "f1", "auroc", "balanced_acc")
    }
    assert len(found.remarks) == 1


def test_columns_in_another_order(tested):
    assert tested(colors(120, seed=1)[["label", "v", "colour"]]).metrics["test/acc"] == 1.0


def test_a_quantity_of_another_table(houses_run, tmp_path):
    file = tmp_path / "new.csv"
    houses(100, seed=1)[["price", "area", "rooms"]].to_csv(file, index=False)
    found = evaluate(houses_run, [f"data.path={file}"], checkpoint="last")
    assert found.metrics["test/r2"] > 0.99
    houses(100, seed=1).iloc[:20].to_csv(file, index=False)  # other means: the scales are not those of this table
    assert evaluate(houses_run, [f"data.path={file}"], checkpoint="last").metrics["test/r2"] > 0.99


def by_hand(run_dir, table: pd.DataFrame) -> float:
    predicted = Classifier.load_from_checkpoint(run_dir / "checkpoints/best.ckpt").predict_table(table, warn=False)
    return float((predicted["prediction"] == table["label"]).mean())


def test_a_new_level_is_named(tested, colors_run):
    table = colors(120, seed=1)
    table.loc[:9, "colour"] = "yellow"
    found = tested(table)
    (line,) = found.remarks[1:]
    assert line.startswith("differs      ")
    assert "colour" in line
    assert "yellow" in line
    assert found.metrics["test/acc"] == pytest.approx(by_hand(colors_run, table))
    assert found.metrics["test/acc"] >= 110 / 120


def test_a_shift_of_many_deviations_is_named(tested, colors_run):
    table = colors(120, seed=1)
    table["v"] += 220  # ten of its deviations
    found = tested(table)
    (line,) = found.remarks[1:]
    assert line.startswith("differs      ")
    assert "v" in line
    assert "deviations" in line
    assert found.metrics["test/acc"] == pytest.approx(by_hand(colors_run, table))
    low = (table["colour"] == "red") & (table["label"] == "C")  # red and small, which the shift makes large
    assert found.metrics["test/acc"] <= 1 - low.mean()


def test_a_missing_column_is_named(tested):
    with pytest.raises(ValueError, match="colour"):
        tested(colors(120, seed=1).drop(columns="colour"))


def without_preparation(run_dir) -> None:
    """Makes the checkpoints of a run those of an earlier version."""
    for name in ("best", "last"):
        file = run_dir / f"checkpoints/{name}.ckpt"
        content = torch.load(file, weights_only=True)
        del content["hyper_parameters"]["preparation"]
        torch.save(content, file)


def test_a_checkpoint_without_preparation_is_tested_on_its_own_table_alone(train_here, tmp_path):
    from tests.app.commands.conftest import train_table

    run_dir = train_table(tmp_path, colors(100), "label", train_here, "trainer.max_epochs=1")
    without_preparation(run_dir)
    assert evaluate(run_dir).remarks == ("prepared     by the table's own statistics: the checkpoint contains none",)
    colors(100, seed=1).to_csv(tmp_path / "new.csv", index=False)
    with pytest.raises(ConfigError, match=r"expected .*train.csv, on which the run was trained"):
        evaluate(run_dir, [f"data.path={tmp_path / 'new.csv'}"])


def test_the_script_prints_what_was_tested(warm_command, colors_run, tmp_path):
    colors(120, seed=1).to_csv(tmp_path / "new # 1.csv", index=False)
    done = warm_command(str(colors_run), "data.path=new # 1.csv", script="eval.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "rows         120, all of new # 1.csv"
    assert "test/acc 1" in done.stdout.splitlines()[1]
