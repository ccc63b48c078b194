"""Runs that are killed, interrupted or terminated, and go on: the same weights, curves and history to the last bit."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.conftest import ROOT
from tests.faults import forked

FIT = ["model=bn", "trainer.max_epochs=3", "logger=many", "callbacks.last.every_n_steps=7", "monitor.every_n_steps=5"]
FIT += ["callbacks.last.min_seconds=null"]  # epochs take less
FIT += ["report=false", "callbacks.picture.enabled=false"]  # what they draw is drawn from the history
STEPS = 120  # of that fit, 40 in each epoch
VARIES = ("seconds", "samples_per_second")


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> dict[str, Any]:
    """What is left of the fit that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    assert forked.run(folder, *FIT) == 0, forked.said(folder)
    return left_by(forked.the_run(folder))


def left_by(run: Path) -> dict[str, Any]:
    """Weights, optimizer, curves and history, in what == compares bit for bit."""
    saved = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    state = saved["optimizer_states"][0]["state"]
    result = json.loads((run / "result.json").read_text())
    with (run / "metrics.csv").open(newline="") as lines:
        rows = [{key: value for key, value in row.items() if value} for row in csv.DictReader(lines)]
    return {
        "weights": {name: weight.tolist() for name, weight in saved["state_dict"].items()},
        "moments": [value.tolist() for of_one in state.values() for value in of_one.values()],
        "curves": curves(run),
        "rows": rows,
        "vitals": json.loads((run / "vitals.json").read_text()),
        "result": {key: value for key, value in result.items() if key not in VARIES},
    }


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(run), size_guidance={"scalars": 0})
    read.Reload()
    return {tag: [(point.step, point.value) for point in read.Scalars(tag)] for tag in read.Tags()["scalars"]}


def at_call(number: int, owner: Any, name: str, do: Callable[[], None]) -> Callable[[], None]:
    """A fault: at the ``number``-th call of a function, something happens first."""

    def put_in() -> None:
        function, calls = getattr(owner, name), [0]

        def counted(*args: Any, **settings: Any) -> Any:
            calls[0] += 1
            if calls[0] == number:
                do()
            return function(*args, **settings)

        setattr(owner, name, counted)

    return put_in


def send(what: signal.Signals) -> Callable[[], None]:
    return lambda: os.kill(os.getpid(), what)


KILL = send(signal.SIGKILL)


def in_step(step: int) -> Callable[[], None]:
    """When so many steps were trained, in the next one."""
    from gradvitals.classifier import Classifier

    return when(Classifier, "training_step", lambda module: module.trainer.global_step == step)


def in_validation(step: int) -> Callable[[], None]:
    """In the validation after so many steps; after none: of the sanity check."""
    from gradvitals.classifier import Classifier

    return when(Classifier, "validation_step", lambda module: module.trainer.global_step == step)


def when(owner: Any, name: str, holds: Callable[[Any], bool]) -> Callable[[], None]:
    """A fault: killed in a method, when something holds."""

    def put_in() -> None:
        method = getattr(owner, name)

        def looked(self: Any, *args: Any) -> Any:
            if holds(self):
                KILL()
            return method(self, *args)

        setattr(owner, name, looked)

    return put_in


def in_write(number: int) -> Callable[[], None]:
    """In the middle of the ``number``-th checkpoint: half of the file is there."""

    def put_in() -> None:
        write = torch.save

        def half(checkpoint: Any, file: Any) -> None:
            write(checkpoint, file)
            file.truncate(file.tell() // 2)
            file.flush()
            KILL()

        calls = [0]

        def counted(checkpoint: Any, file: Any) -> None:
            calls[0] += 1
            (half if calls[0] == number else write)(checkpoint, file)

        torch.save = counted

    return put_in


def in_renaming(number: int) -> Callable[[], None]:
    return at_call(number, os, "replace", KILL)


def after_the_last_step(name: str) -> Callable[[], None]:
    """When the weights are trained, and a file of that name would be put in its place."""

    def put_in() -> None:
        from gradvitals.classifier import Classifier

        replace, on_train_end, trained = os.replace, Classifier.on_train_epoch_end, []

        def counted(module: Classifier) -> None:
            on_train_end(module)
            if module.trainer.global_step == STEPS:
                trained.append(module)

        def looked(source: Any, place: Any) -> None:
            if trained and Path(place).name == name:
                KILL()
            replace(source, place)

        Classifier.on_train_epoch_end, os.replace = counted, looked

    return put_in


def chains(steps: list[int], length: int) -> list[list[Callable[[], None]]]:
    """One run each, killed at several steps in their order."""
    return [[in_step(step) for step in sorted(steps[i : i + length])] for i in range(0, len(steps), length)]


RANDOM = chains(random.Random(8).sample(range(STEPS), 20), 5)
KILLED = {
    "kill -9 at a random step": RANDOM[:2],
    "kill -9 at a random step, more": RANDOM[2:],
    "kill -9 at an epoch's border": chains([0, 39, 40, 79, 80, 119], 6),
    "kill -9 in a checkpoint's write": [[in_write(n) for n in (1, 2, 9, 2)], [in_renaming(n) for n in (2, 3, 9)]],
    "kill -9 after the last step": [
        [after_the_last_step(name)] for name in ("best.ckpt", "last-1.ckpt", "last.ckpt", "result.json", "vitals.json")
    ],
    "kill -9 in validation": [[in_validation(step) for step in (0, 40, 80, 120)]],
}


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if "more" in kind else kind for kind in KILLED]
)
def test_killed_runs_go_on_as_if_they_had_not_been(kind, whole, tmp_path, tally):
    """Each run is killed, resumed, killed again ... and at its end the same as one that nothing interrupted."""
    for number, faults in enumerate(KILLED[kind]):
        folder = tmp_path / str(number)
        folder.mkdir()
        for words, fault in zip([FIT, *[["resume=latest"]] * len(faults)], faults, strict=False):
            assert forked.run(folder, *words, fault=fault) == -signal.SIGKILL, forked.said(folder)
        assert forked.run(folder, "resume=latest") == 0, forked.said(folder)
        found = left_by(forked.the_run(folder))
        for what in whole:
            assert found[what] == whole[what], (number, what, forked.said(folder))
    kills = sum(map(len, KILLED[kind]))
    tally(kind, tried=kills, survived=kills)


def test_ends_of_short_epochs_are_passed_over_and_a_kill_loses_less_than_five_seconds(whole, tmp_path, tally):
    words = [word for word in FIT if not word.startswith("callbacks.last")]
    assert forked.run(tmp_path, *words, fault=in_step(100)) == -signal.SIGKILL, forked.said(tmp_path)
    folder = forked.the_run(tmp_path) / "checkpoints"
    assert [torch.load(file, weights_only=True)["global_step"] for file in folder.glob("last*.ckpt")] == [40]
    assert forked.run(tmp_path, "resume=latest") == 0, forked.said(tmp_path)
    found = left_by(folder.parent)
    assert all(found[what] == whole[what] for what in ("weights", "moments", "curves", "rows"))
    tally("kill -9 between the checkpoints of short epochs", tried=1, survived=1)


def test_killed_again_and_again_at_any_moment(whole, tmp_path, tally):
    """From outside, as the kernel does it, wherever the process happens to be."""
    draw, kills, words = random.Random(9), 8, FIT
    for _ in range(kills):
        pid = forked.start(tmp_path, *words)
        time.sleep(draw.uniform(0.2, 2))  # a whole fit takes about two seconds
        os.kill(pid, signal.SIGKILL)
        forked.wait(pid)
        begun = [file for file in tmp_path.glob("logs/train/runs/*/.hydra/overrides.yaml") if file.stat().st_size]
        words = [f"resume={begun[0].parents[1]}"] if begun else FIT
    assert forked.run(tmp_path, *words) == 0, forked.said(tmp_path)
    (ended,) = tmp_path.glob("logs/train/runs/*/result.json")
    assert left_by(ended.parent) == whole
    tally("kill -9 at any moment, one run", tried=kills, survived=kills)


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGUSR1, 143)], ids=["INT", "TERM", "USR1"]
)
def test_signals_end_with_a_checkpoint(sent, code, whole, tmp_path, tally):
    from gradvitals.classifier import Classifier

    where = {
        "step": at_call(17, Classifier, "training_step", send(sent)),
        "border": at_call(40 - 17, torch, "_fused_adam_", send(sent)),
        "validation": at_call(2, Classifier, "validation_step", send(sent)),
        "test": at_call(1, Classifier, "test_step", send(sent)),
    }
    words = FIT
    for name, fault in where.items():
        assert forked.run(tmp_path, *words, fault=fault) == code, (name, forked.said(tmp_path))
        run = forked.the_run(tmp_path)
        assert json.loads((run / "result.json").read_text())["status"] == "interrupted"
        assert "Traceback" not in forked.said(tmp_path)
        words = ["resume=latest"]
    assert "resume       python src/train.py resume=" in forked.said(tmp_path)
    assert forked.run(tmp_path, *words) == 0, forked.said(tmp_path)
    assert left_by(run) == whole
    tally(f"{sent.name} in a step, at a border, in validation, in the test", tried=len(where), survived=len(where))


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["INT", "TERM"])
def test_signals_before_the_first_step_leave_nothing(sent, code, tmp_path, tally):
    from gradvitals.app.run import assemble
    from gradvitals.classifier import Classifier

    faults = [at_call(1, assemble, "build_data", send(sent)), at_call(1, Classifier, "validation_step", send(sent))]
    for number, fault in enumerate(faults):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert forked.run(folder, *FIT, fault=fault) == code, forked.said(folder)
        assert not list(folder.glob("logs/train/runs/*"))
        assert "Traceback" not in forked.said(folder)
    tally(f"{sent.name} before the first step", tried=len(faults), survived=len(faults))


def test_what_is_resumed_stays_though_it_is_ended_before_its_first_step(tmp_path, tally):
    from gradvitals.app.run import assemble

    assert forked.run(tmp_path, *FIT, fault=in_step(3)) == -signal.SIGKILL
    fault = at_call(1, assemble, "build_data", send(signal.SIGTERM))
    assert forked.run(tmp_path, "resume=latest", fault=fault) == 143, forked.said(tmp_path)
    assert forked.run(tmp_path, "resume=latest") == 0, forked.said(tmp_path)
    tally("SIGTERM before a resumed run's first step", tried=1, survived=1)


def test_a_second_signal_is_not_waited_for(tmp_path):
    from gradvitals.classifier import Classifier

    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    assert forked.run(tmp_path, *FIT, fault=at_call(57, Classifier, "training_step", twice)) == 130
    assert json.loads((forked.the_run(tmp_path) / "result.json").read_text())["status"] == "interrupted"


def test_an_interrupted_sweep_goes_on(tmp_path, tally):
    """Ctrl-C in its second job: nothing is asked, nothing more is started, and what is missing is run later."""
    from gradvitals.classifier import Classifier

    sweep = ["-m", "seed=0,1,2", "data=iris", "trainer.max_epochs=5", "report=false"]
    fault = at_call(4 * 5 + 8, Classifier, "training_step", send(signal.SIGINT))
    assert forked.run(tmp_path, *sweep, fault=fault) == 130, forked.said(tmp_path)
    (folder,) = tmp_path.glob("logs/train/multiruns/*")
    assert statuses(folder) == ["completed", "interrupted"]
    assert f"resume_sweep={folder.relative_to(tmp_path)}" in forked.said(tmp_path)
    assert forked.run(tmp_path, f"resume_sweep={folder}") == 0, forked.said(tmp_path)
    assert statuses(folder) == ["completed"] * 3
    whole = tmp_path / "whole"
    whole.mkdir()
    assert forked.run(whole, *sweep) == 0
    (other,) = whole.glob("logs/train/multiruns/*")
    assert weights(folder) == weights(other)
    tally("Ctrl-C in a sweep", tried=1, survived=1)


def statuses(sweep: Path) -> list[str]:
    return [json.loads(file.read_text())["status"] for file in sorted(sweep.glob("*/result.json"))]


def weights(sweep: Path) -> list[dict[str, Any]]:
    saved = [torch.load(file, weights_only=True) for file in sorted(sweep.glob("*/checkpoints/last.ckpt"))]
    return [{name: weight.tolist() for name, weight in one["state_dict"].items()} for one in saved]


def test_two_processes_leave_together_and_go_on(warm_command, tmp_path, tally):
    """A signal that only the first is sent, as a scheduler may; on CPUs, by gloo."""
    words = [sys.executable, str(ROOT / "src/train.py"), "trainer=ddp_cpu", "trainer.max_epochs=1000", "report=false"]
    process = subprocess.Popen(words, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(tmp_path.glob("logs/train/runs/*/checkpoints/last.ckpt")):
        assert process.poll() is None
        time.sleep(0.2)
    process.terminate()
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 143, said
    run = forked.the_run(tmp_path)
    epochs = json.loads((run / "result.json").read_text())["epochs"] + 1
    done = warm_command("resume=latest", f"trainer.max_epochs={epochs}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads((run / "result.json").read_text())["epochs"] == epochs
    tally("SIGTERM of one of two processes", tried=1, survived=1)
