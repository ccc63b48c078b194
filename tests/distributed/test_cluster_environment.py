"""What the environment tells of the other processes of a run."""

import os
import subprocess
import sys

import pytest

from gradvitals.app.processes.same_config import differences
from gradvitals.app.processes.subprocesses import Observer
from gradvitals.distributed.cluster_environment import ClusterEnvironment, is_first_process
from gradvitals.errors import ConfigError

TORCHRUN = {"TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": "8", "LOCAL_WORLD_SIZE": "4", "RANK": "5", "LOCAL_RANK": "1"}
SLURM = {"SLURM_STEP_ID": "0", "SLURM_NTASKS": "8", "SLURM_NNODES": "2", "SLURM_PROCID": "5", "SLURM_JOB_NAME": "x"}
OTHERS = ("LOCAL_RANK", "NODE_RANK")


@pytest.fixture
def environment(monkeypatch):
    for name in {*TORCHRUN, *SLURM, *OTHERS}:
        monkeypatch.delenv(name, raising=False)
    return lambda variables: [monkeypatch.setenv(*pair) for pair in variables.items()]


@pytest.mark.parametrize(("variables", "name"), [(TORCHRUN, "torchrun"), (SLURM, "srun")])
def test_a_launcher_is_known_by_its_environment(variables, name, environment):
    environment(variables)
    assert ClusterEnvironment.at_work() == ClusterEnvironment(name, processes=4, machines=2, rank=5)
    assert not is_first_process()


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({}, True),
        ({"LOCAL_RANK": "0", "NODE_RANK": "0"}, True),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),  # started by Lightning
        ({"NODE_RANK": "1"}, False),  # the first one of the second machine
        (TORCHRUN | {"RANK": "0", "LOCAL_RANK": "0"}, True),
        (SLURM | {"SLURM_NTASKS": "1", "SLURM_NNODES": "1", "SLURM_PROCID": "0"}, True),
        (SLURM | {"SLURM_JOB_NAME": "bash"}, True),  # people type there
        ({"SLURM_NTASKS": "8", "SLURM_PROCID": "0"}, True),  # a batch script without srun
    ],
)
def test_the_first_process_is_the_first_of_all_machines(variables, first, environment):
    environment(variables)
    assert is_first_process() is first


def test_a_trainer_takes_the_processes_that_there_are(environment):
    environment(TORCHRUN)
    launcher, trainer = ClusterEnvironment.at_work(), {"devices": 1, "num_nodes": 1, "precision": "32-true"}
    assert launcher.place(trainer, []) == {"devices": 4, "num_nodes": 2, "precision": "32-true"}
    assert launcher.place(trainer | {"devices": [0, 1, 2, 3]}, ["trainer.devices"])["devices"] == 4
    with pytest.raises(ConfigError, match=r"trainer.num_nodes: torchrun has started 2 machines; got 1. Leave"):
        launcher.place(trainer, ["trainer.num_nodes"])


def test_the_observer_tells_how_a_process_died():
    dies = subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])
    lives = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    observer = Observer([lives, dies])
    assert observer.lost() == "process 2 of this run (0 to 2) ended with exit code 3; its output is above"
    observer.kill()
    observer.end()
    assert lives.wait() == -9


def test_a_process_that_waits_in_vain_is_ended():
    """As one whose other end is gone waits on a GPU, where nothing wakes it."""
    words = (
        "import subprocess, sys, time; from gradvitals.app.processes import subprocesses; subprocesses.PATIENCE = 0.1;"
    )
    words += "subprocesses.Observer([subprocess.Popen([sys.executable, '-c', '1 / 0'])]); time.sleep(60)"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", words], env=env, capture_output=True, text=True, timeout=60)
    assert done.returncode == -9
    assert "gradvitals: process 1 of this run (0 to 1) ended with exit code 1; its output is above" in done.stderr


def test_what_differs_is_told_by_its_dotted_name():
    a, b = {"model": {"depth": 3, "act": "relu"}, "seed": 0}, {"model": {"depth": 4, "act": "relu"}, "tags": []}
    assert list(differences(a, b)) == [("model.depth", 3, 4), ("seed", 0, None), ("tags", None, [])]


def test_numbers_that_are_not_finite_are_compared_too():
    nan = float("nan")
    assert not list(differences({"fill": nan, "values": [nan]}, {"fill": float("nan"), "values": [float("nan")]}))
    assert [key for key, *_ in differences({"fill": nan}, {"fill": 0.0})] == ["fill"]
