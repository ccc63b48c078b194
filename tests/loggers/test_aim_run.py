"""Runs of Aim: our calls always; what Aim writes into a local repository, where aim is installed."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.test_supply import watched
from tests.loggers.test_comet_experiment import write


class Keeps:
    """With the signature of Aim's runs."""

    def __init__(self):
        self.got = []

    def track(self, value, name=None, step=None, epoch=None, *, context=None):
        self.got.append((value, name, step))


def test_a_run_gets_each_number(monkeypatch):
    aim = type(sys)("aim")
    aim.Text = lambda text: ("text", text)
    aim.Image = lambda image: ("image", image.size)
    monkeypatch.setitem(sys.modules, "aim", aim)
    run = type("Run", (Keeps,), {"__module__": "aim.sdk.run"})()
    write(run)
    assert run.got == [
        (0.5, "grad_norm/total", 0),
        (50.5, "grad_norm/total", 50),
        (("text", "vanishing"), "vitals/verdict", 50),
        (("image", (3, 2)), "vitals/gradient_by_layer", 50),
    ]


READ = """
import sys, warnings
warnings.simplefilter("ignore")
from aim import Repo, Run
repo = Repo(sys.argv[1])
for name in repo.list_all_runs():
    run = Run(name, repo=repo, read_only=True)
    found = run.collect_sequence_info(("metric", "images", "texts"))
    print(run.get("hparams")["act"], sorted({each["name"] for kind in found.values() for each in kind}))
"""


def test_a_run_fills_a_local_repository_and_asks_no_other_machine(tmp_path: Path):
    pytest.importorskip("aim", exc_type=ImportError)
    words = ["logger=aim", "act=elu", "trainer.max_epochs=1", "trainer=cpu", "paths.logs=logs"]
    done = watched(tmp_path, (f"{ROOT}/src/train.py", *words))
    assert done.returncode == 0, done.stderr
    assert "corruption" not in done.stdout + done.stderr  # which Aim warns of when the test opens the run again
    reindex = [Path(sys.executable).with_name("aim"), "storage", "--repo", "logs", "reindex", "-y"]
    subprocess.run(reindex, cwd=tmp_path, check=True, capture_output=True)
    read = subprocess.run([sys.executable, "-c", READ, "logs"], cwd=tmp_path, capture_output=True, text=True)
    (line,) = read.stdout.splitlines()
    assert line.startswith("elu ")
    for name in ("train/loss", "grad_norm/total", "vitals/verdict", "vitals/gradient_by_layer"):
        assert repr(name) in line
