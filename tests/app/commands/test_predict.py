"""Predictions for every row of a table, as the table is written."""

import numpy as np
import pandas as pd
import pytest

from gradvitals.app.commands.predict import predict
from gradvitals.errors import ConfigError
from tests.app.commands.conftest import colors, houses


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new.csv"


def predicted(run_dir, file, **options) -> pd.DataFrame:
    return pd.read_csv(predict(run_dir, [f"data.path={file}"], **options).file, dtype=str, keep_default_na=False)


def test_rows_have_classes_and_probabilities_in_their_order(colors_run, file):
    table = colors(120, seed=1)
    table.to_csv(file, index=False)
    found = predict(colors_run, [f"data.path={file}"])
    assert found.file == colors_run / "predictions_new.csv"
    written = pd.read_csv(found.file)
    classes = [f"probability of {name}" for name in "ABC"]
    assert list(written.columns) == ["colour", "v", "label", "prediction", *classes]
    assert list(written["prediction"]) == list(table["label"])
    assert list(written[classes].idxmax(axis=1).str[-1]) == list(table["label"])
    assert written[classes].sum(axis=1).to_numpy() == pytest.approx(1)
    first, *others = str(found).splitlines()
    assert first == "rows         120"
    most = table["label"].value_counts()
    assert others[0].startswith(f"predicted    {most.iloc[0]} {most.index[0]}, ")
    assert others[1].startswith("predictions  ")


def test_rows_without_the_target(colors_run, file):
    table = colors(30, seed=1)
    label = list(table["label"])
    table.loc[::2, "label"] = None
    table.to_csv(file, index=False)
    assert list(predicted(colors_run, file)["prediction"]) == label
    table[["v", "colour"]].to_csv(file, index=False)
    written = predicted(colors_run, file)
    assert list(written["prediction"]) == label
    assert list(written.columns[:3]) == ["v", "colour", "prediction"]


def test_quantities_have_their_own_unit(houses_run, file):
    table = houses(50, seed=1)
    table.drop(columns="price").to_csv(file, index=False)
    found = predict(houses_run, [f"data.path={file}"], checkpoint="last")
    written = pd.read_csv(found.file)
    assert list(written.columns) == ["rooms", "area", "prediction"]
    assert written["prediction"].to_numpy() == pytest.approx(table["price"].to_numpy(), abs=60_000)
    assert str(found).splitlines()[1].startswith("predicted    from ")


def test_cells_stay_as_they_were_written(colors_run, file):
    file.write_text('colour,v,note\nred,070.50,"a, b"\nblue,,007\ngreen,+31,=1+1\n')
    written = predicted(colors_run, file)
    assert list(written["v"]) == ["070.50", "", "+31"]
    assert list(written["note"]) == ["a, b", "007", "'=1+1"]  # which no spreadsheet computes
    assert list(written["prediction"]) == ["A", "B", "C"]


def test_what_differs_is_named_once(colors_run, file, recwarn):
    table = colors(30, seed=1)
    table.loc[:2, "colour"] = "yellow"
    table.to_csv(file, index=False)
    (line,) = predict(colors_run, [f"data.path={file}"]).differences
    assert "yellow" in line
    assert len(recwarn) == 0


def test_what_is_typed_for_the_table_decides_how_it_is_read(houses_run, file):
    table = houses(30, seed=1).astype({"rooms": str, "area": str})
    table.to_csv(file, index=False)
    expected = predicted(houses_run, file)["prediction"][1:]
    table.loc[0, "area"] = "vier (?)"
    table["area"] = table["area"] + np.where(table.index > 0, ".000", "")  # thousands of what was typed before
    table.drop(columns="price").to_csv(file, index=False)
    with pytest.raises(ValueError, match=r"expected numbers in column 'area'; got 'vier \(\?\)' in line 2"):
        predict(houses_run, [f"data.path={file}"])
    words = [f"data.path={file}", 'data.missing=["vier (?)"]']
    as_point = predict(houses_run, words)
    assert list(pd.read_csv(as_point.file, dtype=str)["prediction"][1:]) == list(expected)
    as_thousands = predict(houses_run, [*words, "data.thousands=point"])
    (unit,) = [line for line in as_thousands.differences if "about" in line]
    assert unit.startswith("area: the mean ")
    assert "times the training rows'" in unit


def test_a_column_called_prediction_is_kept(colors_run, file):
    colors(30, seed=1).assign(prediction="mine").to_csv(file, index=False)
    written = predicted(colors_run, file)
    assert set(written["prediction"]) == {"mine"}
    assert list(written["prediction 2"]) == list(written["label"])


def test_only_earlier_predictions_are_replaced(colors_run, file, tmp_path):
    colors(30, seed=1).to_csv(file, index=False)
    output = tmp_path / "out.csv"
    for _ in range(2):
        predicted(colors_run, file, output=output)
    mine = tmp_path / "mine.csv"
    mine.write_text("a,b\n1,2\n")
    for other in (mine, file, tmp_path):
        with pytest.raises(ConfigError, match="--output: expected a new file, or earlier predictions"):
            predicted(colors_run, file, output=other)
    assert mine.read_text() == "a,b\n1,2\n"
    with pytest.raises(ConfigError, match="--output: expected a file in a folder that exists"):
        predicted(colors_run, file, output=tmp_path / "nowhere" / "out.csv")
    output_of_itself = output
    with pytest.raises(ConfigError, match="--output"):
        predicted(colors_run, output_of_itself, output=output)


def test_a_missing_column_is_named(colors_run, file):
    colors(30, seed=1).drop(columns="v").to_csv(file, index=False)
    with pytest.raises(ValueError, match=r"^data.path=.*new.csv: expected the columns .*'v' is missing"):
        predict(colors_run, [f"data.path={file}"])
    assert not (colors_run / "predictions_new.csv.part").exists()


@pytest.mark.parametrize(
    ("word", "expected"), [("model.depth=3", "expected data.KEY=VALUE"), ("data.path=none.csv", "none.csv")]
)
def test_what_is_refused_is_one_line(warm_command, colors_run, word, expected):
    done = warm_command(str(colors_run), word, script="predict.py")
    assert done.returncode == 1
    assert expected in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_other_data_are_refused(train_here, tmp_path):
    from omegaconf import OmegaConf

    from tests.app.commands.conftest import SHORT
    from tests.conftest import compose_variant

    words = ["data=iris", *SHORT, "trainer.max_epochs=1"]
    run_dir = train_here(*words)
    (run_dir / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.masked_copy(compose_variant(words), ["data", "model"]), run_dir / ".hydra/config.yaml")
    with pytest.raises(ConfigError, match=r"expected a run on a table \(data=csv\)"):
        predict(run_dir)


def test_a_module_of_the_users_own_is_refused(colors_run, tmp_path, monkeypatch):
    import shutil

    from lightning import LightningModule
    from omegaconf import OmegaConf

    class Own(LightningModule):
        pass

    run_dir = tmp_path / "own"
    shutil.copytree(colors_run, run_dir)
    monkeypatch.setattr("gradvitals.app.commands.trained_run.TrainedRun.model", lambda run: Own())
    with pytest.raises(ConfigError, match="a LightningModule of your own .Own. predicts in its own way"):
        predict(run_dir)
    assert OmegaConf.load(run_dir / ".hydra/config.yaml").data.target == "label"


def test_the_script_writes_and_prints(warm_command, colors_run, tmp_path):
    colors(30, seed=1).to_csv(tmp_path / "new.csv", index=False)
    done = warm_command(str(colors_run), "data.path=new.csv", "--output", "out.csv", script="predict.py")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "rows         30"
    assert done.stdout.splitlines()[-1] == "predictions  out.csv"
    assert done.stderr == ""
    assert (tmp_path / "out.csv").read_text().count("\n") == 31


def test_sequences_are_refused_and_what_is_accepted_is_said(train_here, tmp_path):
    from omegaconf import OmegaConf

    from tests.app.commands.conftest import SHORT
    from tests.conftest import compose_variant

    file = tmp_path / "steps.csv"
    rows = [f"s{i},{t},{i + t},{'ab'[i % 2]}" for i in range(30) for t in range(1 + i % 3)]
    file.write_text("\n".join(["id,t,x,y", *rows]))
    columns = [f"data.{key}={name}" for key, name in {"path": file, "target": "y", "series": "id", "time": "t"}.items()]
    words = ["data=sequence_csv", "model=gru", *columns, *SHORT, "trainer.max_epochs=1"]
    run_dir = train_here(*words)
    (run_dir / ".hydra").mkdir()
    OmegaConf.save(OmegaConf.masked_copy(compose_variant(words), ["data", "model"]), run_dir / ".hydra/config.yaml")
    with pytest.raises(ConfigError, match=r"expected a run whose samples are rows \(data=csv\); those .* are series"):
        predict(run_dir, [f"data.path={file}"])
