"""Two processes (gloo) at half the batch each against plain autograd in float64 on the whole batch."""

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
import torch.nn.functional as F
from torch.nn.utils import clip_grad_norm_

from tests.callbacks import two_processes
from tests.callbacks.twin import Twin
from tests.callbacks.two_processes import CLIP, MODES, data, network
from tests.distributed.pair import launch


def rounding(tag: str) -> float:
    """A mean is a sum of numbers of both signs and of size 1, whose digits float32 has seven of."""
    return 1e-7 if tag.startswith("activation_mean") else 1e-12


@cache
def two() -> dict:
    with TemporaryDirectory() as folder:
        launch(Path(two_processes.__file__), f"{folder}/found.json")
        return json.loads(Path(folder, "found.json").read_text())


@pytest.mark.parametrize("clips", [False, True])
@pytest.mark.parametrize("mode", MODES)
def test_numbers_are_those_of_the_whole_batch(mode, clips):
    found = two()[f"{mode} {clips}"]
    x, y = data()[:200]
    if mode == "bn":  # as two micro-batches of one process
        twin = Twin(network(mode), ("0", "3"), {"0": "2"})
        expected = twin.backward([(x[::2], y[::2]), (x[1::2], y[1::2])], F.cross_entropy).before()
    else:
        twin = Twin(network(mode), ("0", "2", "4"), {"0": "1", "2": "3"})
        expected = twin.backward([(x, y)], F.cross_entropy).before()
    if clips:
        expected |= twin.after_clipping(lambda ps: clip_grad_norm_(ps, CLIP))
        expected |= {"clip/cosine": 1.0, "clip/cosine_per_tensor": 1.0}
    expected |= twin.step(lambda ps: torch.optim.SGD(ps, lr=100.0))
    expected = {rename(tag): value for tag, value in expected.items()}
    start = {tag: value for tag, value in found["start"].items() if not tag.startswith("dead_fraction")}
    assert start == {tag: pytest.approx(value, rel=1e-5, abs=rounding(tag)) for tag, value in expected.items()}
    if clips and mode != "bn":  # without, nets that learn at this rate do not stay as they were
        assert found["end"]["dead_fraction/01.net.2"] == pytest.approx(2 / 7)


def rename(tag: str) -> str:
    kind, _, label = tag.partition("/")
    index, dot, name = label.partition(".")
    return f"{kind}/{index}.net.{name}" if dot else tag


def test_copies_of_the_weights_are_compared():
    assert set(two()["ddp False"]["differences"]) == set(two()["bn True"]["differences"]) == {0.0}
    assert set(two()["fsdp False"]["differences"]) == {None}  # there are no copies


def test_copies_that_drift_apart_are_found():
    """One of the two adds a tenth to eight biases after each step."""
    found = two()["apart"]
    assert all(value > 1e-5 for value in found["differences"][1:]), found["differences"]
    assert "replicas" in [rule for rule, _ in found["findings"]]
