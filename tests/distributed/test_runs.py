"""Command lines in two processes and more: who writes, who is refused, who goes on when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import torch
from lightning.pytorch.utilities.rank_zero import rank_zero_only

from tests.distributed.pair import torchrun
from tests.faults import forked

SHORT = ("data=iris", "data.batch_size=15", "trainer.max_epochs=2", "report=false", "callbacks.picture.enabled=false")
SLURM = {  # of `srun --ntasks-per-node=2`
    "SLURM_JOB_ID": "4242",
    "SLURM_STEP_ID": "0",
    "SLURM_JOB_NAME": "train",
    "SLURM_NTASKS": "2",
    "SLURM_NTASKS_PER_NODE": "2",
    "SLURM_NNODES": "1",
    "SLURM_NODEID": "0",
    "SLURM_NODELIST": "127.0.0.1",
}


def in_slurm(rank: int) -> None:
    """Make this process one of SLURM's tasks."""
    os.environ.pop("PL_GLOBAL_SEED", None)
    os.environ.update(SLURM | {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)})
    rank_zero_only.rank = rank  # which Lightning took from the environment when it was imported


def by_itself() -> None:
    os.environ.pop("PL_GLOBAL_SEED", None)


def srun(folder: Path, *words_of_each: tuple[str, ...]) -> list[int]:
    """One task for each; how each ended."""
    started = [forked.start(folder, *w, fault=partial(in_slurm, rank)) for rank, w in enumerate(words_of_each)]
    return [forked.wait(pid) for pid in started]


def files(folder: Path) -> set[str]:
    """What lies there, events by one name; and nothing lies beside logs/."""
    assert {path.name for path in folder.iterdir()} - {"out.txt"} == {"logs"}
    (run,) = folder.glob("logs/train/runs/*")
    names = (str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return {"events" if name.startswith("events.") else name for name in names}


def result(folder: Path) -> dict:
    (file,) = folder.glob("logs/train/runs/*/result.json")
    return json.loads(file.read_text())


def equal(file: Path, other: Path) -> bool:
    """Whether two checkpoints hold the same weights, bit for bit."""
    first, second = (torch.load(path, weights_only=True)["state_dict"] for path in (file, other))
    return all(torch.equal(weight, second[name]) for name, weight in first.items())


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process at the same global batch."""
    folder = tmp_path_factory.mktemp("alone")
    assert forked.run(folder, *SHORT, "data.batch_size=30", "seed=1", fault=by_itself) == 0, forked.said(folder)
    return folder


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of two processes, the second of which Lightning starts."""
    folder = tmp_path_factory.mktemp("beside")
    assert forked.run(folder, *SHORT, "trainer=ddp_cpu", "seed=1", fault=by_itself) == 0, forked.said(folder)
    assert forked.said(folder).count("completed") == 1
    return folder


def test_one_process_writes_what_a_run_of_one_writes(alone, beside):
    assert files(beside) == files(alone)
    assert result(beside)["steps"] == result(alone)["steps"]


@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_a_launcher_needs_no_further_keys(launcher, alone, beside, tmp_path):
    """It says how many processes there are; their weights are those of trainer=ddp_cpu."""
    words = (*SHORT, "seed=1")
    if launcher == "torchrun":
        code, said = torchrun(tmp_path, 2, *words)
        assert code == 0, said
    else:
        assert srun(tmp_path, words, words) == [0, 0], forked.said(tmp_path)
    assert files(tmp_path) == files(alone)
    (mine,), (theirs,) = (folder.glob("logs/*/runs/*/checkpoints/last.ckpt") for folder in (tmp_path, beside))
    assert equal(mine, theirs)


def test_another_config_in_one_process_is_refused(tmp_path):
    assert srun(tmp_path, (*SHORT, "optimizer.lr=0.1"), (*SHORT, "optimizer.lr=0.2")) == [1, 1]
    for who in ("gradvitals: ", "gradvitals (process 1): "):
        why = f"{who}processes 0 and 1 of this run have different configs: optimizer.lr=0.1 and 0.2"
        assert why in forked.said(tmp_path)
    assert not list(tmp_path.glob("logs/train/runs/*"))


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("-m", "seed=0,1"), "a multirun starts the processes of each job itself; srun has started 2"),
        (("trainer.devices=3",), "trainer.devices: srun has started 2 processes on each machine; got 3"),
        (("seed=null",), "seed: expected a number; each process of srun would draw its own"),
    ],
)
def test_what_does_not_go_with_a_launcher_is_refused(words, why, tmp_path):
    assert srun(tmp_path, (*words, *SHORT)) == [1]
    assert why in forked.said(tmp_path)
    assert not list(tmp_path.glob("logs/train/*/*"))


@pytest.mark.parametrize("sweeper", [pytest.param("grid", marks=pytest.mark.slow), "search"])
def test_every_process_of_a_sweeps_job_trains_that_job(sweeper, beside, tmp_path):
    """Three jobs of two processes each, drawn at random or not; one of them is what a run of its own comes to."""
    drawn = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.startup_trials=3", "seed=choice(0,1,2)")
    words = drawn if sweeper == "search" else ("seed=0,1,2",)
    code = forked.run(tmp_path, "-m", *SHORT, "trainer=ddp_cpu", *words, fault=by_itself)
    assert code == 0, forked.said(tmp_path)
    folders = [file.parent for file in tmp_path.glob("logs/train/multiruns/*/*/result.json")]
    jobs = {json.loads((folder / "result.json").read_text())["seed"]: folder for folder in folders}
    assert sorted(jobs) == [0, 1, 2]
    (run,) = beside.glob("logs/train/runs/*/checkpoints/last.ckpt")
    same = {seed: equal(folder / "checkpoints" / "last.ckpt", run) for seed, folder in jobs.items()}
    assert same == {0: False, 1: True, 2: False}
    assert not [path for path in tmp_path.rglob("*") if "ddp_process" in path.name]


def test_one_that_dies_ends_the_run_which_goes_on_with_fewer_and_with_more(tmp_path):
    words = (*SHORT, "trainer=ddp_cpu", "trainer.max_epochs=100000")
    first = forked.start(tmp_path, *words, fault=by_itself)
    while not list(tmp_path.glob("logs/train/runs/*/checkpoints/last.ckpt")):
        time.sleep(0.1)
    (child,) = subprocess.run(["pgrep", "-P", str(first)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    assert forked.wait(first) == 1  # within its limit, long before the other process gives up waiting for this one
    run = forked.the_run(tmp_path)
    way_out = f"Resume by resume={run.relative_to(tmp_path)}"
    assert f"gradvitals: process 1 of this run (0 to 1) was killed by signal 9. {way_out}" in forked.said(tmp_path)
    assert result(tmp_path)["status"] == "failed"
    epochs = result(tmp_path)["epochs"]
    fewer = (f"resume={run}", "trainer.devices=1", f"trainer.max_epochs={epochs + 1}")
    assert forked.run(tmp_path, *fewer, fault=by_itself) == 0, forked.said(tmp_path)
    assert (result(tmp_path)["status"], result(tmp_path)["epochs"]) == ("completed", epochs + 1)
    assert forked.torchrun(tmp_path, 3, f"resume={run}", f"trainer.max_epochs={epochs + 2}") == [0] * 3
    assert (result(tmp_path)["status"], result(tmp_path)["epochs"]) == ("completed", epochs + 2)


def test_metrics_and_weighted_losses_count_each_sample_once(tmp_path):
    words = ("data=iris", "data.class_weight=balanced", "metrics=[acc,f1,auroc,balanced_acc]", "optimizer.lr=0")
    words += ("trainer.max_epochs=1", "report=false", "callbacks.picture.enabled=false", "hydra.run.dir=run")
    found = {}
    for processes, trainer in ((1, "cpu"), (2, "ddp_cpu")):
        folder = tmp_path / str(processes)
        folder.mkdir()
        codes = forked.torchrun(folder, processes, *words, f"trainer={trainer}")
        assert codes == [0] * processes, forked.said(folder)
        assert "Warning" not in forked.said(folder)
        metrics = json.loads((folder / "run/result.json").read_text())["metrics"]
        found[processes] = {tag: value["final"] for tag, value in metrics.items() if tag.startswith(("val/", "test/"))}
    assert len(found[1]) == 10
    assert found[2] == pytest.approx(found[1], rel=1e-5)
