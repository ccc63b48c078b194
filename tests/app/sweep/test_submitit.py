"""Jobs as a cluster's scheduler runs them: preempted, put back into its queue, and the same in the end."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from gradvitals.app.config import hydra_targets
from gradvitals.app.config.hydra_targets import check_hydra, checked_targets
from gradvitals.app.config.run_directory import register_names
from gradvitals.app.processes.signals import CODES, SAVE, Signals
from gradvitals.errors import ConfigError
from tests.app.sweep.test_sweeps import begun, rows, statuses
from tests.conftest import CONF, ROOT
from tests.faults import forked
from tests.faults.test_interruption import curves, weights

IS_THERE = importlib.util.find_spec("submitit") is not None
needs_submitit = pytest.mark.skipif(not IS_THERE, reason='submitit is not installed: pip install ".[submitit]"')

SWEEP = ["-m", "seed=0,1", "trainer.max_epochs=8", "report=false", "callbacks.picture.enabled=false"]
SWEEP += ["callbacks.last.every_n_steps=5"]


def preempt(sweep_dir: Path) -> str:
    """What SLURM does to a job at work: SIGTERM, and then the signal that submitit asked for; returns its number."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        at_work = [file for file in sweep_dir.glob("*/checkpoints/last*.ckpt") if file.parts[-3].startswith("1_")]
        if at_work:
            tasks = {folder.name: children(folder.name) for folder in sweep_dir.glob(".submitit/[0-9]*")}
            number, task = next(
                (n, task) for n, ts in tasks.items() for task in ts if holds(task, at_work[0].parents[1])
            )
            for sent in (signal.SIGTERM, signal.SIGUSR2):
                os.kill(task, sent)
            return number
        time.sleep(0.01)
    raise TimeoutError("no job was seen at work")


def children(pid: str) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def holds(pid: int, folder: Path) -> bool:
    """Whether a process has a file in a folder open."""
    return any(
        os.readlink(link).startswith(f"{folder}/") for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()
    )


class Requeued(SystemExit):
    """What submitit raises when it has put a job back."""


@pytest.fixture
def submitit_before(monkeypatch) -> Iterator[list[int]]:
    """submitit's handlers, as it installs them before the job; the signals that it was given."""
    turns: list[int] = []

    def requeues(number: int, frame: object) -> None:
        turns.append(number)
        if os.environ["SUBMITIT_TASK"] == "0":
            raise Requeued(144)

    monkeypatch.setenv("SUBMITIT_EXECUTOR", "slurm")
    monkeypatch.setenv("SUBMITIT_TASK", "0")
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR2)}
    signal.signal(signal.SIGTERM, lambda *_: turns.append(0))
    signal.signal(signal.SIGUSR2, requeues)
    yield turns
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_submitit_has_its_turn_when_the_job_has_come_to_rest(submitit_before):
    heard = Signals()
    heard.listen()
    heard.waits = True
    os.kill(os.getpid(), signal.SIGTERM)  # comes first, and asks for no more than a checkpoint
    assert (heard.code, heard.requested) == (0, SAVE)
    os.kill(os.getpid(), signal.SIGUSR2)
    assert (heard.requested, submitit_before) == (143, [])
    with pytest.raises(Requeued):
        heard.__exit__(None, None, None)
    assert submitit_before == [signal.SIGUSR2]


def test_tasks_beside_the_first_leave_without_an_error(submitit_before, monkeypatch):
    monkeypatch.setenv("SUBMITIT_TASK", "1")
    with pytest.raises(SystemExit) as left, Signals():
        os.kill(os.getpid(), signal.SIGUSR2)
    assert left.value.code == 0


def test_what_another_process_was_told_counts(submitit_before):
    heard = Signals()
    heard.listen()
    heard.code = 143  # as all processes of the run have agreed
    with pytest.raises(Requeued):
        heard.__exit__(None, None, None)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGUSR1])
def test_other_signals_requeue_nothing(submitit_before, sent):
    with pytest.raises(SystemExit) as left, Signals():
        os.kill(os.getpid(), sent)
    assert left.value.code == CODES[sent]
    assert submitit_before == []


def test_a_job_that_no_signal_ended_is_not_requeued(submitit_before):
    with Signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert submitit_before == []


def test_lightning_requeues_nothing_itself():
    from lightning import Trainer
    from lightning.pytorch.plugins.environments import SLURMEnvironment

    trainer = Trainer(logger=False, enable_checkpointing=False, accelerator="cpu", plugins=[SLURMEnvironment()])
    with Signals() as heard:
        trainer._signal_connector.register_signal_handlers()
        assert signal.getsignal(signal.SIGUSR1) == heard._handle
        trainer._signal_connector.teardown()


@needs_submitit
def test_what_slurm_is_asked_for(tmp_path, monkeypatch):
    """The script that sbatch is given, made by the launcher itself from the config."""
    import submitit
    from hydra_plugins.hydra_submitit_launcher.submitit_launcher import SlurmLauncher

    (tmp_path / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    made: list[submitit.AutoExecutor] = []
    monkeypatch.setattr(submitit.AutoExecutor, "map_array", lambda self, *_: made.append(self) or [])
    words = ["partition=gpu", "account=us", "gpus_per_node=2", "tasks_per_node=2", "cpus_per_task=8", "mem_gb=32"]
    words += ["nodes=2", "qos=high", "timeout_min=90", "signal_delay_s=60", "max_num_timeout=7"]
    typed = ["hydra/launcher=submitit_slurm", *(f"hydra.launcher.{word}" for word in words)]
    register_names()
    with checked_targets(), initialize_config_dir(str(CONF), version_base="1.3"):
        config = compose("train", [*typed, f"hydra.sweep.dir={tmp_path}"], return_hydra_config=True)
    config.hydra.job.name = "train"
    launcher = SlurmLauncher(**{key: value for key, value in config.hydra.launcher.items() if key != "_target_"})
    launcher.setup(hydra_context=None, task_function=None, config=config)
    launcher.launch([["seed=0"]], 0)
    script = made[0]._executor._make_submission_file_text("train", "0")
    asked = {line.removeprefix("#SBATCH --") for line in script.splitlines() if line.startswith("#SBATCH")}
    expected = {"partition=gpu", "account=us", "gpus-per-node=2", "ntasks-per-node=2", "cpus-per-task=8", "mem=32GB"}
    expected |= {"nodes=2", "qos=high", "time=90", "signal=USR2@60", "requeue", "job-name=train", "open-mode=append"}
    assert expected <= asked
    assert made[0]._executor.max_num_timeout == 7


def test_a_launcher_that_is_not_installed_says_how(monkeypatch):
    monkeypatch.setattr(hydra_targets, "find_spec", lambda name: None)
    target = "hydra_plugins.hydra_ray_launcher.ray_launcher.RayLauncher"
    with pytest.raises(
        ConfigError, match=r'needs a package: hydra-ray-launcher. Install it by pip install "gradvitals\[ray\]"'
    ):
        check_hydra(OmegaConf.create({"launcher": {"_target_": target}}))


@needs_submitit
def test_a_preempted_job_is_queued_again_and_ends_as_if_it_had_not_been(tmp_path):
    whole = tmp_path / "whole"
    whole.mkdir()
    call = [sys.executable, str(ROOT / "src/train.py"), *SWEEP, "hydra/launcher=submitit_local"]
    process, sweep_dir = begun(call, tmp_path)
    number = preempt(sweep_dir)
    said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    log = (sweep_dir / f".submitit/{number}/{number}_0_log.err").read_text()
    log += (sweep_dir / f".submitit/{number}/{number}_0_log.out").read_text()
    assert "this job is preempted" in log
    assert f"Requeued job {number}" in log
    assert "completed successfully" in log
    assert statuses(sweep_dir) == Counter(completed=2)
    assert [row["ended"] for row in rows(sweep_dir)] == ["2"]
    assert forked.run(whole, *SWEEP) == 0, forked.said(whole)
    (other,) = whole.glob("logs/train/multiruns/*")
    assert weights(sweep_dir) == weights(other)
    for one, two in zip(sorted(sweep_dir.glob("[01]_*")), sorted(other.glob("[01]_*")), strict=True):
        assert curves(one) == curves(two)
