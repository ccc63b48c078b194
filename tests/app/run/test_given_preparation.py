"""Every later use of a network takes the preparation of the table that it was trained on."""

import json
from pathlib import Path

import pytest
import torch

from gradvitals.app.commands.evaluate import evaluate
from gradvitals.app.commands.export import export
from gradvitals.app.commands.resume import rewrite
from gradvitals.app.run.given_preparation import predicts_rows
from gradvitals.checkpoints.read import read_preparation
from gradvitals.classifier import Classifier
from tests.app.commands.conftest import SHORT, colors, train_table


@pytest.fixture
def run_dir(train_here, tmp_path) -> Path:
    return train_table(tmp_path, colors(100), "label", train_here, "trainer.max_epochs=1")


def prepared(run_dir: Path) -> dict:
    return read_preparation(run_dir / "checkpoints/last.ckpt", "checkpoint")


def words(file: Path, *typed: str) -> list[str]:
    return ["data=csv", f"data.path='{file}'", "data.target=label", *SHORT, *typed]


def resumed(run_dir: Path, *typed: str) -> list[str]:
    argv = rewrite(["train.py", f"resume={run_dir}", "trainer.max_epochs=2", *typed])[1:]
    return [word for word in argv if not word.startswith("hydra.")]


def shifted(file: Path, rows: int = 100) -> None:
    table = colors(rows, seed=1)
    table["v"] = table["v"] * 2
    table.to_csv(file, index=False)


def test_an_unchanged_table_is_resumed(run_dir, train_here):
    before = prepared(run_dir)
    train_here(*resumed(run_dir), run_dir=run_dir)
    assert torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    assert prepared(run_dir) == before


def test_a_changed_table_is_not_resumed_unless_it_is_accepted(run_dir, train_here, tmp_path, capsys):
    before = prepared(run_dir)
    shifted(tmp_path / "train.csv", rows=120)
    with pytest.raises(SystemExit) as ended:
        train_here(*resumed(run_dir), run_dir=run_dir)
    assert ended.value.code == 1
    message = capsys.readouterr().err
    assert "train.csv" in message
    assert "100 rows" in message
    assert "data.changed=accept" in message
    assert len(message.splitlines()) == 1
    train_here(*resumed(run_dir, "data.changed=accept"), run_dir=run_dir)
    assert torch.load(run_dir / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2
    after = prepared(run_dir)
    assert {key for key in before if before[key] != after[key]} == {"fingerprint", "rows"}  # not levels and scales
    assert (before["rows"], after["rows"]) == (100, 120)


def test_what_was_accepted_once_is_not_accepted_again(run_dir):
    saved = run_dir / ".hydra/overrides.yaml"
    saved.write_text(f"{saved.read_text()}- data.changed=accept\n")
    assert "data.changed=accept" not in resumed(run_dir)
    assert "data.changed=accept" in resumed(run_dir, "data.changed=accept")


def test_weights_bring_their_preparation(run_dir, train_here, tmp_path):
    before = prepared(run_dir)
    shifted(tmp_path / "other.csv")
    other = train_here(
        *words(tmp_path / "other.csv", f"weights='{run_dir}'", "trainer.max_epochs=1"), run_dir=tmp_path / "other"
    )
    after = prepared(other)
    assert after["fingerprint"] != before["fingerprint"]
    assert {key for key in before if before[key] != after[key]} <= {"fingerprint", "rows"}


def test_weights_of_other_columns_are_refused(run_dir, train_here, tmp_path, capsys):
    colors(100).rename(columns={"v": "w"}).to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(SystemExit):
        train_here(*words(tmp_path / "other.csv", f"weights='{run_dir}'"), run_dir=tmp_path / "other")
    message = capsys.readouterr().err
    assert "v" in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize("key", ["weights", "ckpt_path"])
def test_a_test_alone_takes_every_row_of_another_table(run_dir, train_here, tmp_path, caplog, key):
    file = tmp_path / "other.csv"
    colors(60, seed=1).query("label != 'A'").to_csv(file, index=False)
    checkpoint = run_dir / "checkpoints/last.ckpt"
    with caplog.at_level("INFO"):
        other = train_here(*words(file, f"{key}='{checkpoint}'", "train=false"), run_dir=tmp_path / "other")
    assert caplog.text.count("every row is tested") == 1
    tested = json.loads((other / "result.json").read_text())["metrics"]["test/acc"]["final"]
    assert tested == evaluate(run_dir, [f"data.path={file}"], "last").metrics["test/acc"]


def test_an_exported_file_contains_the_preparation(run_dir):
    file = export(run_dir, "last")
    assert read_preparation(file, "weights") == prepared(run_dir)


def test_other_files_of_weights_contain_none(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.ones(1)}, tmp_path / "a.safetensors")
    save_file({"weight": torch.ones(1)}, tmp_path / "b.safetensors", {"hyper_parameters": "{not JSON"})
    assert read_preparation(tmp_path / "a.safetensors", "weights") is None
    assert read_preparation(tmp_path / "b.safetensors", "weights") is None


def test_rows_of_a_table_are_predicted_by_what_was_trained_on_rows():
    rows = {"_target_": "gradvitals.nets.mlp.MLP", "depth": 1}
    series = {"_target_": "gradvitals.nets.recurrent.Recurrent", "width": 2}
    assert predicts_rows(Classifier(rows, 4, 3, preparation={}))
    assert not predicts_rows(Classifier(rows, 4, 3))
    assert not predicts_rows(Classifier(series, 6, 3, act={"name": "tanh"}, preparation={}, in_shape=(3, 2)))
