"""Whole sweeps by the command line: one that is killed and resumed, one that stops, workers, a search."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gradvitals.app.sweep.optuna_study import open_study
from tests.conftest import ROOT

ONE_EPOCH = "trainer.max_epochs=1"
BOTH = "optimizer.lr=0.001,-1"  # the second is planted: it is refused


def folder(tmp_path: Path) -> Path:
    (found,) = tmp_path.glob("logs/train/multiruns/*")
    return found


def statuses(sweep_dir: Path) -> Counter[str]:
    return Counter(json.loads(file.read_text())["status"] for file in sweep_dir.glob("*/result.json"))


def rows(sweep_dir: Path) -> list[dict[str, str]]:
    with (sweep_dir / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


def begun(call: list[str], tmp_path: Path, env: dict[str, str] | None = None) -> tuple[subprocess.Popen, Path]:
    """A sweep that was started in an empty folder, and its directory, as soon as it is there."""
    process = subprocess.Popen(call, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(tmp_path.glob("logs/train/multiruns/*")):
        assert process.poll() is None
        time.sleep(0.05)
    return process, folder(tmp_path)


def kill_halfway(tmp_path: Path, words: list[str], jobs: int) -> Path:
    """Start a sweep and kill it, with kill -9, when so many jobs have ended and the next has begun."""
    call = [sys.executable, str(ROOT / "src/train.py"), *words]
    process = subprocess.Popen(call, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline and process.poll() is None:
        ended = len(list(tmp_path.glob("logs/train/multiruns/*/*/result.json")))
        if ended >= jobs and len(list(tmp_path.glob("logs/train/multiruns/*/*/.hydra"))) > ended:
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return folder(tmp_path)


def resumed_whole(warm_command, tmp_path: Path, words: list[str], jobs: int, failing: int, kill_at: int) -> Path:
    """Kill a sweep halfway and resume it; whatever had ended is as it was, byte for byte."""
    sweep_dir = kill_halfway(tmp_path, words, kill_at)
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in sweep_dir.glob("*/result.json")}
    assert kill_at <= len(before) < jobs
    done = warm_command(f"resume_sweep={sweep_dir}")
    assert done.returncode == 1, done.stderr  # some jobs fail, as planted
    assert {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in before} == before
    ran = Counter(tuple(json.loads(file.read_text())["overrides"]) for file in sweep_dir.glob("*/result.json"))
    assert len(ran) == jobs  # nothing lost
    repeated = [words for words, times in ran.items() if times > 1]
    assert all("optimizer.lr=-1" in words for words in repeated)  # nothing run twice but what failed
    assert statuses(sweep_dir)["completed"] == jobs - failing
    assert "optimizer.lr: expected a number of at least 0; got -1" in done.stdout
    return sweep_dir


def test_a_sweep_with_a_failing_job_is_killed_and_resumed(warm_command, tmp_path):
    words = ["-m", "model=plain,bn", BOTH, "seed=0,1", ONE_EPOCH]
    sweep_dir = resumed_whole(warm_command, tmp_path, words, jobs=8, failing=4, kill_at=3)
    table = rows(sweep_dir)
    assert [(row["model"], row["optimizer.lr"], row["ended"], row["failed"]) for row in table[2:]] == [
        ("plain", "-1", "0", "2"),
        ("bn", "-1", "0", "2"),
    ]
    assert {(row["model"], row["ended"]) for row in table[:2]} == {("plain", "2"), ("bn", "2")}
    for row in table[:2]:  # mean and deviation of what the jobs' files say
        files = sweep_dir.glob(f"*model-{row['model']}_optimizer.lr-0.001*/result.json")
        best = [json.loads(file.read_text())["metrics"]["val/acc"]["best"] for file in files]
        assert float(row["val/acc best mean"]) == pytest.approx(sum(best) / 2)
        assert float(row["val/acc best sd"]) == pytest.approx(abs(best[0] - best[1]) / 2**0.5)
    for name in ("sweep.md", "sweep.html", "sweep.png"):
        assert (sweep_dir / name).stat().st_size > 1000


@pytest.mark.slow
def test_the_seeds_by_models_sweep_is_killed_and_resumed(warm_command, tmp_path):
    grid = ["model=plain,bn,ln,residual", "act=sigmoid,relu,elu", "seed=0,1,2"]
    words = ["-m", *grid, "optimizer.lr=0.001,-1", ONE_EPOCH, "report=false"]
    sweep_dir = resumed_whole(warm_command, tmp_path, words, jobs=72, failing=36, kill_at=36)
    assert len(rows(sweep_dir)) == 24
    assert all(row["ended"] == ("0" if row["optimizer.lr"] == "-1" else "3") for row in rows(sweep_dir))


def test_the_end_of_a_sweep_is_one_table(warm_command, tmp_path):
    done = warm_command("-m", "model=plain,bn", "act=relu,elu", ONE_EPOCH)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition("]")[0] for line in lines[:4]] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    head = next(i for i, line in enumerate(lines) if line.startswith("model  act"))
    values = [float(line.split()[2]) for line in lines[head + 1 : head + 5]]
    assert values == sorted(values, reverse=True)
    best = next(line for line in lines if line.startswith("the best"))
    assert best.split()[2:6] == [
        "python",
        "src/train.py",
        *[f"{k}={v}" for k, v in zip(("model", "act"), lines[head + 1].split(), strict=False)],
    ]
    assert "HYDRA" not in done.stdout + done.stderr  # what Hydra says of its jobs is said better
    assert not list(folder(tmp_path).glob("*/report.html"))  # report=auto: only where it is asked for


def test_on_failure_stop_starts_no_more_jobs(warm_command, tmp_path):
    done = warm_command("-m", "optimizer.lr=0.001,-1,0.002,0.003", ONE_EPOCH, "on_failure=stop", "report=false")
    assert done.returncode == 1
    assert statuses(folder(tmp_path)) == {"completed": 1, "failed": 1}
    assert len(list(folder(tmp_path).glob("*/.hydra"))) <= 2


@pytest.mark.parametrize("launcher", ["fork", "joblib"])
def test_workers_share_the_sweep(launcher, warm_command, tmp_path):
    workers = (f"hydra/launcher={launcher}", "hydra.launcher.n_jobs=2")
    done = warm_command("-m", "optimizer.lr=0.001,-1", "seed=0,1", ONE_EPOCH, "report=true", *workers)
    assert done.returncode == 1, done.stderr
    assert statuses(folder(tmp_path)) == {"completed": 2, "failed": 2}
    assert len(list(folder(tmp_path).glob("*/report.html"))) == 2
    assert rows(folder(tmp_path))[0]["ended"] == "2"


def test_a_search_goes_on_after_a_kill(warm_command, tmp_path):
    words = ["sweep=optuna", "hydra.sweeper.n_trials=5", "hydra.sweeper.startup_trials=2", ONE_EPOCH, "report=false"]
    sweep_dir = kill_halfway(tmp_path, [*words, "model.depth=2", "model.width=16"], 2)
    done = warm_command(f"resume_sweep={sweep_dir}")
    assert done.returncode == 0, done.stderr
    ran = [json.loads(file.read_text())["overrides"] for file in sweep_dir.glob("*/result.json")]
    assert len(ran) == 5
    assert len({tuple(words) for words in ran}) == 5  # no trial twice
    assert "model.width=16" in ran[0]
    page = (sweep_dir / "sweep.html").read_text()
    assert "Search history" in page


def test_a_sweep_that_cannot_be_composed_begins_nothing(warm_command, tmp_path):
    done = warm_command("-m", "act=relu,nope")
    assert done.returncode == 1
    assert done.stderr.startswith("gradvitals: act=nope: no such option; expected ")
    assert not (tmp_path / "logs").exists()


def test_a_directory_that_holds_a_sweep_is_refused(warm_command, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep/multirun.yaml").touch()
    done = warm_command("-m", "seed=0,1", "hydra.sweep.dir=sweep")
    assert done.returncode == 1
    assert "sweep already contains a sweep. Resume it by resume_sweep=sweep" in done.stderr


OWN = """
import torch
from lightning import LightningModule


class Module(LightningModule):  # logs one metric and nothing else
    def __init__(self, lr=0.1, name="val/loss"):
        super().__init__()
        self.net, self.lr, self.name = torch.nn.Linear(64, 10), lr, name

    def training_step(self, batch, i):
        return torch.nn.functional.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, i):
        self.log(self.name, self.training_step(batch, i))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.lr)
"""


def test_a_search_by_loss_alone_finds_the_lowest(command, tmp_path):
    (tmp_path / "ownloss.py").write_text(OWN)
    options = ("n_trials=4", "startup_trials=4", "prune_after_trials=1", "prune_after_epochs=0")
    words = ["model._target_=ownloss.Module", "+model.lr=choice(0.0,0.01,0.1,0.3)", "trainer.max_epochs=3"]
    words += ["report=false", "hydra/sweeper=optuna", *(f"hydra.sweeper.{option}" for option in options)]
    done = command("-m", *words, GRADVITALS_ALLOW="ownloss", PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")
    assert done.returncode == 0, done.stderr
    sweep_dir = folder(tmp_path)
    results = [json.loads(file.read_text()) for file in sweep_dir.glob("*/result.json")]
    assert len(results) == 4
    by_rate = {word: result for result in results for word in result["overrides"] if "lr=" in word}
    assert by_rate["+model.lr=0.3"]["reason"] is None  # the fastest learner is not ended early
    assert (
        by_rate["+model.lr=0.3"]["metrics"]["val/loss"]["best"]
        < by_rate["+model.lr=0.1"]["metrics"]["val/loss"]["best"]
    )
    assert rows(sweep_dir)[0]["model.lr"] == "0.3"
    study = open_study(
        sweep_dir, {"prune_after_trials": 1, "prune_after_epochs": 0, "seed": 0, "startup_trials": 1}, "maximize"
    )
    assert study.best_trial.params == {"+model.lr": "0.3"}
    assert all(result["objective"] == {"tag": "val/loss", "mode": "min"} for result in results)


def test_a_sweep_reports_once_that_a_metrics_mode_is_guessed(command, tmp_path):
    (tmp_path / "ownloss.py").write_text(OWN.replace("self.log(self.name", 'self.log("val/nosuch"'))
    words = ["-m", "seed=0,1", "model._target_=ownloss.Module", "+model.lr=0.1", "objective=val/nosuch", ONE_EPOCH]
    words += ["report=false", "~callbacks.best"]
    done = command(*words, GRADVITALS_ALLOW="ownloss", PYTHONPATH=f"{tmp_path}:{ROOT / 'src'}")
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("Set objective_mode=min or max") == 1
