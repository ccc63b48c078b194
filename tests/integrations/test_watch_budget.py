"""What ``watch`` adds to fifty steps between two measured ones, counted: a guard of speed without a clock."""

import gc
import json
import sys
from collections import Counter
from contextlib import contextmanager

import torch.nn.functional as F

from gradvitals import watch
from tests.app.run.test_budget import Operators
from tests.conftest import ROOT
from tests.integrations.same_training import adam, batches, network

BUDGET = json.loads((ROOT / "tests/reference/budget.json").read_text())["watch_fifty_steps"]
STEPS, EVERY = 50, 200
BEGIN = EVERY + 110  # after the hundred batches in which dead units are observed: ten samples each, a thousand in all


@contextmanager
def operators(counts: Counter):
    with Operators() as mode:
        yield
    counts.update(mode.counts)


@contextmanager
def python_calls(counts: Counter):
    def count(frame, event, arg):
        counts["python_calls"] += event == "call"

    gc.collect()  # garbage of other tests, whose finalizers would be counted
    gc.disable()
    sys.setprofile(count)
    yield
    sys.setprofile(None)
    gc.enable()


def counted(counting, folder=None) -> Counter:
    """Counts in fifty steps of a loop, with a watch if there is a folder for its numbers."""
    net, data, counts = network(), batches(), Counter()
    optimizer = adam(net)
    vitals = watch(net, optimizer, log_dir=folder, every_n_steps=EVERY) if folder else None

    def train(steps):
        for step in steps:
            x, y = data[step % len(data)]
            optimizer.zero_grad()
            loss = F.cross_entropy(net(x), y)
            loss.backward()
            optimizer.step()
            if vitals:
                vitals.log(loss)

    train(range(BEGIN))
    with counting(counts):
        train(range(BEGIN, BEGIN + STEPS))
    if vitals:
        assert max(vitals.profiles) == EVERY
        vitals.close()
    return counts


def test_operators_allocations_and_waits(tmp_path):
    added = counted(operators, tmp_path)
    added.subtract(counted(operators))
    assert added["operator_calls"] == BUDGET["operator_calls"]  # a loss is detached
    assert added["allocations"] == BUDGET["allocations"] == 0
    assert added["host_syncs"] == BUDGET["host_syncs"] == 0


def test_calls_of_python_functions(tmp_path):
    added = counted(python_calls, tmp_path)["python_calls"] - counted(python_calls)["python_calls"]
    assert 0 < added <= BUDGET["python_calls"], added
