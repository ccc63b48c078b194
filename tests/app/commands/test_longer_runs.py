"""A run that is made longer: by epochs and by steps, completed or killed, with each schedule."""

from __future__ import annotations

import csv
import json
import signal
from pathlib import Path

import pytest

from gradvitals.app.commands.resume import AlreadyCompleted, rewrite
from tests.faults import forked

FIT = [
    "model.depth=1",
    "model.width=4",
    "logger=csv",
    "report=false",
    "test=false",
    "monitor=off",
    "callbacks.picture.enabled=false",
]
FIT += ["callbacks.learning_rate.logging_interval=step", "trainer.log_every_n_steps=1", "data.batch_size=360"]
PER_EPOCH = 4  # steps, with batches of that size
SCHEDULES = {
    "onecycle": ["scheduler=onecycle"],
    "cosine by epoch": ["scheduler=cosine"],
    "cosine by step": ["scheduler=cosine", "scheduler.interval=step"],
    "step": ["scheduler=step", "scheduler.step_size=1", "scheduler.gamma=0.5"],
    "plateau": ["scheduler=plateau", "scheduler.patience=0", "optimizer.lr=1e-9"],  # so small that nothing is learned
    "none": [],
}
LENGTHS = {  # of the first fit, and of the longer one
    "epochs": ("trainer.max_epochs=2", "trainer.max_epochs=4"),
    "steps": ("trainer.max_steps=8", "trainer.max_steps=16"),
}


def rates(run: Path) -> dict[int, float]:
    """The learning rate of each step."""
    with (run / "metrics.csv").open(newline="") as lines:
        return {int(row["step"]): float(row["lr-Adam"]) for row in csv.DictReader(lines) if row.get("lr-Adam")}


def status(run: Path) -> tuple[str, int]:
    found = json.loads((run / "result.json").read_text())
    return found["status"], found["steps"]


def killed_at(step: int):
    def put_in() -> None:
        from gradvitals.classifier import Classifier

        original = Classifier.training_step

        def looked(module, *args):
            if module.trainer.global_step == step:
                signal.raise_signal(signal.SIGKILL)
            return original(module, *args)

        Classifier.training_step = looked

    return put_in


@pytest.fixture
def run(tmp_path):
    """Train in a folder of its own; returns the run directory."""

    def run(name: str, *words: str, code: int = 0, fault=lambda: None) -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        assert forked.run(folder, *words, fault=fault) == code, forked.said(folder)
        return forked.the_run(folder)

    return run


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.slow) if name in ("step", "plateau", "none") else name for name in SCHEDULES],
)
def test_a_longer_fit_has_the_rates_of_one_that_was_this_long_from_its_start(name, length, run):
    """Completed after 8 steps, or killed in the sixth: from the step at which it resumes."""
    first, longer = LENGTHS[length]
    straight = rates(run("straight", *FIT, *SCHEDULES[name], longer))
    assert len(straight) == 16
    run("completed", *FIT, *SCHEDULES[name], first)
    run("killed", *FIT, *SCHEDULES[name], first, code=-signal.SIGKILL, fault=killed_at(6))
    for folder, since in (("completed", 8), ("killed", PER_EPOCH)):
        run_dir = run(folder, "resume=latest", longer)
        assert status(run_dir) == ("completed", 16)
        found = rates(run_dir)
        assert {step: found[step] for step in range(since, 16)} == pytest.approx(
            {step: straight[step] for step in range(since, 16)}, rel=1e-9
        )


@pytest.mark.parametrize("name", ["onecycle", "cosine by epoch", "cosine by step"])
def test_a_schedule_that_is_kept_stays_at_its_last_rate(name, run):
    run("run", *FIT, *SCHEDULES[name], "trainer.max_epochs=2")
    run_dir = run("run", "resume=latest", "trainer.max_epochs=4", "scheduler.on_resume=keep")
    found = rates(run_dir)
    assert status(run_dir) == ("completed", 16)
    assert len({found[step] for step in range(8, 16)}) == 1
    assert found[8] < 1e-3 * max(found.values())
    assert "still ends at" in forked.said(run_dir.parents[3])


def test_one_line_says_what_was_decided_and_a_resume_of_the_same_length_says_nothing(run):
    run("run", *FIT, *SCHEDULES["cosine by epoch"], "trainer.max_epochs=2", code=-signal.SIGKILL, fault=killed_at(6))
    folder = run("run", "resume=latest").parents[3]
    assert "scheduler    " not in forked.said(folder)
    run("run", "resume=latest", "trainer.max_epochs=4")
    (line,) = [line for line in forked.said(folder).splitlines() if line.startswith("scheduler ")]
    assert line.endswith("CosineAnnealingLR ends at epoch 4 instead of 2; the rate changes from 0 to 0.0005 at epoch 2")


@pytest.mark.parametrize("name", ["onecycle", "cosine by epoch"])
def test_a_longer_fit_that_is_killed_within_an_epoch_resumes_as_it_was(name, run):
    """After six steps, of which the last two are a cut epoch: its epochs no longer begin at multiples of four."""
    first, longer = "trainer.max_steps=6", "trainer.max_steps=24"
    words = [*FIT, *SCHEDULES[name], "callbacks.last.every_n_steps=1"]
    for folder in ("whole", "killed"):
        run(folder, *words, first)
    whole = run("whole", "resume=latest", longer)
    run("killed", "resume=latest", longer, code=-signal.SIGKILL, fault=killed_at(13))
    killed = run("killed", "resume=latest")
    assert rates(killed) == rates(whole)
    assert min(rates(whole).values()) > 0  # the seventh epoch is the last one of the schedule, too
    assert status(killed) == status(whole) == ("completed", 24)
    assert forked.said(killed.parents[3]).count("\nscheduler    ") == 1


def test_a_longer_fit_that_fails_leaves_the_completed_run(run):
    run_dir = run("run", *FIT, "trainer.max_epochs=2")
    before = (run_dir / "result.json").read_text()

    def broken() -> None:
        from gradvitals.classifier import Classifier

        def training_step(*args):
            raise ValueError("out of luck")

        Classifier.training_step = training_step

    run("run", "resume=latest", "trainer.max_epochs=4", code=1, fault=broken)
    assert (run_dir / "result.json").read_text() == before
    assert "out of luck" in forked.said(run_dir.parents[3])
    assert status(run("run", "resume=latest", "trainer.max_epochs=4")) == ("completed", 16)


@pytest.mark.parametrize(
    ("saved", "typed", "says"),
    [
        ("{max_epochs: 4, max_steps: -1}", [], r"is complete \(trainer.max_epochs=4\).*trainer.max_epochs=N"),
        ("{max_epochs: 20, max_steps: 160}", [], r"is complete \(trainer.max_steps=160\).*trainer.max_steps=N"),
        ("{max_epochs: 20, max_steps: 160}", ["trainer.max_epochs=30"], r"To train longer: .*trainer.max_steps=N"),
        ("{max_epochs: 4, max_steps: 160}", ["trainer.max_steps=200"], r"To train longer: .*trainer.max_epochs=N"),
        ("{max_epochs: 4, max_steps: -1}", ["scheduler.on_resume=keep"], r"trainer.max_epochs=4"),
    ],
)
def test_a_completed_run_names_the_limit_that_ends_it(saved, typed, says, tmp_path):
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "overrides.yaml").write_text("[]")
    (tmp_path / ".hydra" / "config.yaml").write_text(f"trainer: {saved}")
    (tmp_path / "result.json").write_text('{"status": "completed", "epochs": 4, "steps": 160}')
    with pytest.raises(AlreadyCompleted, match=says):
        rewrite(["train.py", f"resume={tmp_path}", *typed])
    assert rewrite(["train.py", f"resume={tmp_path}", "trainer.max_epochs=5", "trainer.max_steps=161"])
