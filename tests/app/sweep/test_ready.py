"""The sweeps that stand ready under conf/sweep/."""

from __future__ import annotations

import csv

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import CONF

READY = sorted(file.stem for file in (CONF / "sweep").glob("*.yaml") if file.stem != "grid")


@pytest.mark.parametrize("name", READY)
def test_a_ready_sweep_needs_no_flag_and_says_what_it_shows(name):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [f"sweep={name}"], return_hydra_config=True)
    assert config.hydra.mode.name == "MULTIRUN"
    assert config.hydra.sweeper.params
    head = (CONF / f"sweep/{name}.yaml").read_text().splitlines()[:8]
    assert any(line.startswith("# Shows") for line in head)
    assert any(f"python src/train.py sweep={name}" in line for line in head)


@pytest.mark.slow
def test_the_depth_that_trains_is_that_of_theory(warm_command, tmp_path):
    done = warm_command("sweep=depth", "init.gain=0.7", "model.depth=4,32", "report=false")
    assert done.returncode == 0, done.stderr
    (table,) = tmp_path.glob("logs/train/multiruns/*/sweep.csv")
    with table.open() as file:
        found = {int(row["model.depth"]): row for row in csv.DictReader(file)}
    accuracy = {depth: float(row["val/acc best mean"]) for depth, row in found.items()}
    allowed = float(found[32]["trainable depth mean"])
    assert 8 < allowed < 9
    assert accuracy[4] > 0.9  # below it
    assert accuracy[32] < 0.3  # four times as deep
