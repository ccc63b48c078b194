"""The data of a trained run with settings typed for another table, read as Hydra reads them for a training."""

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradvitals.app.commands.trained_run import TrainedRun

DATA = {
    "_target_": "gradvitals.data.csv.Csv",
    "path": "train.csv",
    "root": "",
    "target": "y",
    "missing": "auto",
    "date_format": "auto",
    "decimal": "auto",
    "fold": None,
}


@pytest.mark.parametrize(
    ("typed", "value"),
    [
        ("missing=[drei]", ["drei"]),
        ("missing=['a, b',-1]", ["a, b", -1]),
        ("missing=auto", "auto"),
        ("date_format=%m/%d/%Y", "%m/%d/%Y"),
        ("date_format='%d.%m.%Y, %H'", "%d.%m.%Y, %H"),
        ("date_format=%d. %m: {%Y", "%d. %m: {%Y"),  # which Hydra cannot read
        ("target=a,b", "a,b"),  # which Hydra would take for two trainings
        ("fold=2", 2),
        ("path=new # 1, [a].csv", "new # 1, [a].csv"),
        ("path='my file.csv'", "my file.csv"),
        ("path=2024", "2024"),
        ('root="my folder"', "my folder"),
    ],
)
def test_settings_of_another_table(typed, value):
    run = TrainedRun(Path("run"), Path("best.ckpt"), OmegaConf.create({"data": DATA}))
    assert run.data_spec([f"data.{typed}"]) == DATA | {typed.partition("=")[0]: value}
    assert run.data_spec() == DATA
