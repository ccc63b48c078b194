"""Command lines in two processes and more: who writes, who is refused, who goes on when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.conftest import ROOT

PYTHON, TRAIN = sys.executable, str(ROOT / "src" / "train.py")
SHORT = ("data=iris", "data.batch_size=15", "trainer.max_epochs=2", "report=false", "callbacks.picture.enabled=false")
TORCHRUN = (PYTHON, "-m", "torch.distributed.run", "--standalone")
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


def start(folder: Path, *words: str, **environment: str) -> subprocess.Popen:
    ours = ("HYDRA", "GRADVITALS_", "PL_GLOBAL_SEED")
    env = {key: value for key, value in os.environ.items() if not key.startswith(ours)}
    env |= {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.Popen(words, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def end(process: subprocess.Popen, seconds: float = 120) -> tuple[int, str]:
    """Exit code, and what it said."""
    try:
        said, _ = process.communicate(timeout=seconds)
    finally:
        process.kill()
    return process.returncode, said


def srun(folder: Path, *words_of_each: tuple[str, ...]) -> list[tuple[int, str]]:
    """One task for each, in SLURM's environment, and how each ended."""
    ranks = [{"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)} for rank in range(len(words_of_each))]
    started = [start(folder, PYTHON, TRAIN, *w, **SLURM, **r) for w, r in zip(words_of_each, ranks, strict=True)]
    return [end(process) for process in started]


def files(folder: Path) -> set[str]:
    """What lies there, events by one name; and nothing lies beside logs/."""
    assert {path.name for path in folder.iterdir()} == {"logs"}
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
    words = [word.replace("batch_size=15", "batch_size=30") for word in SHORT]
    assert end(start(folder, PYTHON, TRAIN, *words, "seed=1"))[0] == 0
    return folder


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of two processes that Lightning starts."""
    folder = tmp_path_factory.mktemp("beside")
    code, said = end(start(folder, PYTHON, TRAIN, *SHORT, "trainer=ddp_cpu", "seed=1"))
    assert code == 0, said
    assert said.count("completed") == 1
    return folder


def test_one_process_writes_what_a_run_of_one_writes(alone, beside):
    assert files(beside) == files(alone)
    assert result(beside)["steps"] == result(alone)["steps"]


@pytest.mark.parametrize("launcher", ["torchrun", "srun"])
def test_a_launcher_needs_no_further_keys(launcher, alone, beside, tmp_path):
    """It says how many processes there are; their weights are those of trainer=ddp_cpu."""
    if launcher == "torchrun":
        ended = [end(start(tmp_path, *TORCHRUN, "--nproc_per_node=2", TRAIN, *SHORT, "seed=1"))]
    else:
        ended = srun(tmp_path, (*SHORT, "seed=1"), (*SHORT, "seed=1"))
    assert [code for code, _ in ended] == [0] * len(ended), ended
    assert files(tmp_path) == files(alone)
    (mine,), (theirs,) = (folder.glob("logs/*/runs/*/checkpoints/last.ckpt") for folder in (tmp_path, beside))
    assert equal(mine, theirs)


def test_another_config_in_one_process_is_refused(tmp_path):
    ended = srun(tmp_path, (*SHORT, "optimizer.lr=0.1"), (*SHORT, "optimizer.lr=0.2"))
    assert [code for code, _ in ended] == [1, 1]
    for (_, said), who in zip(ended, ("gradvitals: ", "gradvitals (process 1): "), strict=True):
        assert f"{who}processes 0 and 1 of this run were given other configs: optimizer.lr=0.1 and 0.2" in said
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
    ((code, said),) = srun(tmp_path, (*words, *SHORT))
    assert code == 1
    assert why in said
    assert not list(tmp_path.glob("logs/train/*/*"))


@pytest.mark.parametrize("sweeper", [pytest.param("grid", marks=pytest.mark.slow), "search"])
def test_every_process_of_a_sweeps_job_trains_that_job(sweeper, beside, tmp_path):
    """Three jobs of two processes each, drawn at random or not; one of them is what a run of its own comes to."""
    drawn = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.startup_trials=3", "seed=choice(0,1,2)")
    words = drawn if sweeper == "search" else ("seed=0,1,2",)
    code, said = end(start(tmp_path, PYTHON, TRAIN, "-m", *SHORT, "trainer=ddp_cpu", *words))
    assert code == 0, said
    folders = [file.parent for file in tmp_path.glob("logs/train/multiruns/*/*/result.json")]
    jobs = {json.loads((folder / "result.json").read_text())["seed"]: folder for folder in folders}
    assert sorted(jobs) == [0, 1, 2]
    (run,) = beside.glob("logs/train/runs/*/checkpoints/last.ckpt")
    same = {seed: equal(folder / "checkpoints" / "last.ckpt", run) for seed, folder in jobs.items()}
    assert same == {0: False, 1: True, 2: False}
    assert not [path for path in tmp_path.rglob("*") if "ddp_process" in path.name]


def test_one_that_dies_ends_the_run_which_goes_on_with_fewer_and_with_more(tmp_path):
    process = start(tmp_path, PYTHON, TRAIN, *SHORT, "trainer=ddp_cpu", "trainer.max_epochs=100000")
    while not list(tmp_path.glob("logs/train/runs/*/checkpoints/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.1)
    (child,) = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True).stdout.split()
    os.kill(int(child), signal.SIGKILL)
    died = time.monotonic()
    code, said = end(process)
    assert time.monotonic() - died < 10
    assert code == 1
    (run,) = tmp_path.glob("logs/train/runs/*")
    assert (
        f"gradvitals: process 1 of this run (0 to 1) was killed by signal 9. Go on by resume={run.relative_to(tmp_path)}"
        in said
    )
    assert result(tmp_path)["status"] == "failed"
    epochs = result(tmp_path)["epochs"]
    fewer = (PYTHON, TRAIN, f"resume={run}", "trainer.devices=1", f"trainer.max_epochs={epochs + 1}")
    more = (*TORCHRUN, "--nproc_per_node=3", TRAIN, f"resume={run}", f"trainer.max_epochs={epochs + 2}")
    for number, words in enumerate((fewer, more), start=1):
        code, said = end(start(tmp_path, *words))
        assert code == 0, said
        assert (result(tmp_path)["status"], result(tmp_path)["epochs"]) == ("completed", epochs + number)
