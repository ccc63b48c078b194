"""Jobs in forked workers: what one process comes to, whatever ends a worker or the sweep."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from gradvitals.app.sweep.fork_launcher import ForkLauncher
from gradvitals.app.sweep.forked_worker import ForkedWorker
from gradvitals.classifier import Classifier
from gradvitals.errors import ConfigError
from tests.faults import forked
from tests.faults.test_interruption import at_call, send, statuses, weights

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="forks")
FORK = ["hydra/launcher=fork", "hydra.launcher.n_jobs=2"]
BATCHES = 4  # of an epoch on iris
SWEEP = ["-m", "data=iris", "model=plain,bn", "seed=0,1", "trainer.max_epochs=3"]


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """The process of the tests has computed with torch, so that a fork of it cannot compute on several threads."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


def folder(tmp_path: Path) -> Path:
    (found,) = tmp_path.glob("logs/train/multiruns/*")
    return found


def files(sweep_dir: Path) -> set[str]:
    return {str(file.relative_to(sweep_dir)) for file in sweep_dir.rglob("*") if "tfevents" not in file.name}


def without_launcher(sweep_dir: Path, name: str) -> list[str]:
    """The lines of a file of each job but those that name folders, times and the launcher."""
    lines = [line for file in sorted(sweep_dir.glob(f"*/{name}")) for line in file.read_text().splitlines()]
    return [
        line for line in lines if not any(word in line for word in ("/", "launcher", "n_jobs", "econd", "_target_"))
    ]


def test_results_are_those_of_one_process(tmp_path):
    alone, beside = tmp_path / "alone", tmp_path / "beside"
    for place, launcher in ((alone, []), (beside, FORK)):
        place.mkdir()
        assert forked.run(place, *SWEEP, *launcher) == 0, forked.said(place)
    one, two = folder(alone), folder(beside)
    assert weights(one) == weights(two)
    assert len(weights(two)) == 4
    assert files(one) == files(two)
    for name in (".hydra/config.yaml", ".hydra/overrides.yaml", ".hydra/hydra.yaml", "result.json", "vitals.json"):
        assert without_launcher(one, name) == without_launcher(two, name), name
    said = forked.said(beside).splitlines()
    assert sorted(line[:5] for line in said if line.startswith("[")) == ["[1/4]", "[2/4]", "[3/4]", "[4/4]"]
    assert len(said) == len(forked.said(alone).splitlines())  # nothing twice


def test_a_job_that_fails_leaves_its_reason(tmp_path):
    assert forked.run(tmp_path, "-m", "optimizer.lr=0.001,-1,0.002", "trainer.max_epochs=1", *FORK) == 1
    assert statuses(folder(tmp_path)) == ["completed", "failed", "completed"]
    assert "optimizer.lr: expected a number of at least 0; got -1" in forked.said(tmp_path)


def test_a_killed_worker_loses_one_job_and_the_sweep_goes_on(tmp_path):
    """SIGKILL in the second epoch of the jobs 0 and 2: other workers are forked, and complete the jobs 1 and 3."""
    fault = only_in({0, 2}, at_call(BATCHES + 2, Classifier, "training_step", send(signal.SIGKILL)))
    assert forked.run(tmp_path, *SWEEP, *FORK, fault=fault) == 1
    said = forked.said(tmp_path)
    assert "gradvitals: job 0 (data=iris model=plain seed=0 trainer.max_epochs=3) was killed by signal 9" in said
    assert "2 of 4 jobs were lost" in said
    assert f"resume_sweep={folder(tmp_path).relative_to(tmp_path)}" in said
    assert statuses(folder(tmp_path)) == ["completed"] * 2
    assert forked.run(tmp_path, f"resume_sweep={folder(tmp_path)}") == 0, forked.said(tmp_path)
    assert statuses(folder(tmp_path)) == ["completed"] * 4
    whole = tmp_path / "whole"
    whole.mkdir()
    assert forked.run(whole, *SWEEP) == 0
    assert weights(folder(tmp_path)) == weights(folder(whole))


def only_in(jobs: set[int], fault: Callable[[], None]) -> Callable[[], None]:
    """Puts a fault into the workers of some jobs."""
    work = ForkLauncher._work

    def work_with_fault(self: ForkLauncher, job: Any) -> Any:
        if job[0] in jobs:
            fault()
        return work(self, job)

    return lambda: setattr(ForkLauncher, "_work", work_with_fault)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_sweep_with_checkpoints(number, code, tmp_path):
    """It is sent to the sweep's process alone, which lets each worker end its job after a step."""
    to_parent = at_call(BATCHES * 60, Classifier, "training_step", lambda: os.kill(os.getppid(), number))
    words = [*SWEEP, "trainer.max_epochs=4000"]
    assert forked.run(tmp_path, *words, *FORK, fault=only_in({0}, to_parent)) == code, forked.said(tmp_path)
    sweep_dir = folder(tmp_path)
    assert statuses(sweep_dir) == ["interrupted"] * 2  # and no others were begun
    assert len(list(sweep_dir.glob("*/checkpoints/last.ckpt"))) == 2
    assert f"resume_sweep={sweep_dir.relative_to(tmp_path)}" in forked.said(tmp_path)
    assert "lost" not in forked.said(tmp_path)
    assert not workers_in(tmp_path)


def test_workers_end_with_a_sweep_that_is_killed(tmp_path):
    fault = at_call(BATCHES * 2 + 1, Classifier, "training_step", lambda: os.kill(os.getppid(), signal.SIGKILL))
    assert forked.run(tmp_path, *SWEEP, "trainer.max_epochs=4000", *FORK, fault=fault) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while workers_in(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not workers_in(tmp_path)


def workers_in(place: Path) -> list[int]:
    """Processes whose working folder this is."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve() == place and "State:\tZ" not in (process / "status").read_text():
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_a_search_tells_of_a_lost_trial_and_goes_on(tmp_path):
    words = ["sweep=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2", "data=iris", "trainer.max_epochs=2"]
    marker = tmp_path / "killed"

    def once() -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    fault = at_call(3, Classifier, "training_step", once)
    assert forked.run(tmp_path, *words, *FORK, fault=fault) == 0, forked.said(tmp_path)
    assert "was killed by signal 9" in forked.said(tmp_path)
    assert statuses(folder(tmp_path)) == ["completed"] * 3


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["trainer=ddp_cpu"], "one process on a CPU; got trainer.devices=2. Set trainer=cpu, or hydra/launcher=joblib"),
        (["trainer=gpu"], "one process on a CPU; got trainer.accelerator=gpu. Set trainer=cpu, or hydra/launcher=j"),
        (["hydra.launcher.n_jobs=0"], "hydra.launcher.n_jobs: expected an integer of 1 or more, or auto; got 0"),
    ],
)
def test_what_is_no_job_for_a_fork_is_refused_in_one_line(words, expected, tmp_path):
    assert forked.run(tmp_path, *SWEEP, "hydra/launcher=fork", *words) == 1
    assert expected in forked.said(tmp_path).replace("\n", " ")
    assert "Traceback" not in forked.said(tmp_path)
    assert not list(tmp_path.glob("logs/train/multiruns/*/*/"))


def test_a_job_that_hydra_cannot_begin_ends_the_sweep_in_one_line(tmp_path):
    assert forked.run(tmp_path, *SWEEP, *FORK, "hydra/job_logging=disabled") == 1
    assert "gradvitals: Unable to configure handler 'console'" in forked.said(tmp_path)
    assert "Traceback" not in forked.said(tmp_path)


def test_other_systems_are_refused(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(ConfigError, match=r"expected Linux; got darwin. Set hydra/launcher=joblib"):
        ForkLauncher().setup(hydra_context=None, task_function=None, config=OmegaConf.create())


def test_answers_come_in_the_order_of_the_jobs():
    """The first job takes longest, and the second worker does all the others meanwhile."""

    class Sleeper(ForkLauncher):
        def _work(self, job: tuple[int, list[str]]) -> JobReturn:
            time.sleep(0.3 if job[0] == 5 else 0)
            return JobReturn(job[1], status=JobStatus.COMPLETED, _return_value=os.getpid())

    jobs = [(5, ["a"]), (6, ["b"]), (7, ["c"]), (8, ["d"])]
    found = Sleeper()._run(jobs, 2, lambda: None)
    assert [found[number].overrides for number, _ in jobs] == [["a"], ["b"], ["c"], ["d"]]
    first, *others = (found[number].return_value for number, _ in jobs)
    assert len(set(others)) == 1
    assert first not in (*others, os.getpid())


def test_a_worker_says_how_it_ended():
    for ending, expected in ((lambda _: os.kill(os.getpid(), 9), "killed by signal 9"), (sys.exit, "with exit code 3")):
        worker = ForkedWorker(ending)
        worker.give(3)
        with pytest.raises(EOFError, match=expected):
            worker.answer()
        worker.end()
