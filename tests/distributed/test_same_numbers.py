"""Two processes at half the batch each find what one process finds at the whole batch, from command lines on."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch

from tests.distributed import commands
from tests.distributed.pair import launch

STRATEGIES = {trainer.split()[0]: trainer for trainer in commands.TRAINERS}


@cache
def two(trainers: tuple[str, ...] = commands.TRAINERS) -> dict:
    """What two processes found, by command and trainer."""
    with TemporaryDirectory() as folder:
        launch(Path(commands.__file__), f"{folder}/found.json", *trainers)
        return json.loads(Path(folder, "found.json").read_text())


@cache
def one(name: str, trainer: str = "cpu") -> dict:
    """What one process finds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with TemporaryDirectory() as folder:
            words = commands.COMMANDS[name].replace("trainer.sync_batchnorm=true", "")
            return commands.fit(words, trainer, Path(folder))
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", commands.COMMANDS)
def test_numbers_of_the_first_step(name, strategy):
    compare(two()[f"{name} {STRATEGIES[strategy]}"], one(name))


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize("trainer", commands.ON_GPUS)
@pytest.mark.parametrize("name", commands.COMMANDS)
def test_numbers_of_the_first_step_on_two_gpus(name, trainer):
    compare(two(commands.ON_GPUS)[f"{name} {trainer}"], one(name, "gpu"))


def compare(found: dict, expected: dict) -> None:
    assert expected["start"]
    assert found["start"] == pytest.approx(expected["start"], rel=1e-5, abs=1e-12, nan_ok=True)
    assert found["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert found["verdict"] == expected["verdict"]
    for tensor, values in expected["weights"].items():
        assert found["weights"][tensor] == pytest.approx(values, rel=1e-5, abs=1e-5 * max(map(abs, values))), tensor


def test_they_are_what_the_commands_are_about():
    """Else the test above compares nothing of interest."""
    assert one("vanishing")["verdict"][0] == "vanishing"
    assert one("unstable")["verdict"][0] == "unstable"
    assert one("norm")["start"]["clip/coefficient"] < 0.5
    assert one("value")["start"]["clip/cosine"] < 0.99
    assert any(0 < share < 1 for share in one("relu")["dead"].values())


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("name", ["relu", "residual", "bn"])
def test_shares_of_dead_units(name, strategy):
    """A unit that one of the processes saw alive is alive."""
    expected = one(name)["dead"]
    assert len(expected) >= 4
    assert two()[f"{name} {STRATEGIES[strategy]}"]["dead"] == pytest.approx(expected, rel=1e-5)


def test_predicted_gains_are_agreed():
    """They depend on the batch by its correlation and its size, of which each process sees its part."""
    found, expected = two()["plain ddp_cpu"]["preflight"], one("plain")["preflight"]
    assert found[:-1] == pytest.approx(expected[:-1], rel=1e-5)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_two_small_collective_calls_per_measured_step_and_none_between(strategy):
    found = two()[f"counted {STRATEGIES[strategy]}"]
    added = [on - off for on, off in zip(found["on"], found["off"], strict=True)]
    by_step = [after - before for before, after in zip([0, *added], added, strict=False)]
    assert by_step == [2 * (step in commands.MEASURED) for step in range(14)]  # which parts failed, and the numbers
    assert max(found["sent"]) < 2000  # numbers; the network has 50,000 weights
