"""Programs that torch.compile makes of a watched model: measured as the model itself, and not compiled again and again."""

import gc
import warnings
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._dynamo.utils import counters

from gradvitals import watch
from gradvitals.vitals.trained_parameters import CalledModules
from tests.integrations.same_training import adam, batches, network


def backend(graph: torch.fx.GraphModule, inputs: list) -> Callable:
    return graph.forward


def compiled(net: nn.Module) -> Callable:
    return torch.compile(net, backend=backend)


def in_place(net: nn.Module) -> Callable:
    net.compile(backend=backend)
    return net


def loss_of(net: nn.Module) -> Callable:
    return torch.compile(lambda x: net(x), backend=backend)


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()
    counters.clear()


def train(call: Callable, optimizer: torch.optim.Optimizer, vitals, some: list, step: Callable | None = None) -> None:
    for x, y in some:
        loss = F.cross_entropy(call(x), y)
        optimizer.zero_grad()
        loss.backward()
        (step or optimizer.step)()
        vitals.log(loss)


@pytest.mark.parametrize("make", [compiled, in_place, loss_of])
@pytest.mark.parametrize("before", [0, 5])
def test_a_model_that_is_compiled_after_watch_is_compiled_once(make, before, recwarn):
    net = network()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=4, first_steps=1) as vitals:
        train(net, optimizer, vitals, batches()[:before])
        train(make(net), optimizer, vitals, batches()[before:])
    assert counters["stats"]["unique_graphs"] <= (2 if before else 1)  # the first has hooks of dead units
    assert not [str(one.message) for one in recwarn.list if "compile" in str(one.message)]
    reference = network()
    optimizer = adam(reference)
    with watch(reference, optimizer, every_n_steps=4, first_steps=1) as known:
        train(reference, optimizer, known, batches())
    assert set(vitals.profiles) >= {4, 8} - {before - before % 4}
    for step, profile in vitals.profiles.items():
        assert profile == pytest.approx(known.profiles[step], rel=1e-5)


@pytest.mark.parametrize("make", [compiled, in_place, loss_of])
def test_a_model_that_another_watch_has_seen_compiles(make, recwarn):
    net = network()
    optimizer = adam(net)
    other = CalledModules(nn.Linear(2, 2), held=set())
    net(batches()[0][0])  # of which the other watch knows nothing
    with watch(net, optimizer, every_n_steps=4, first_steps=1) as vitals:
        train(make(net), optimizer, vitals, batches())
    other.close()
    assert counters["stats"]["unique_graphs"] <= 1
    assert other.strangers == ["Linear", "BatchNorm1d", "Linear", "Linear"]


def test_an_optimizer_whose_step_is_compiled_is_measured():
    net = network()
    optimizer = adam(net)
    with watch(net, optimizer, every_n_steps=4, first_steps=1) as vitals, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch, which ignores its profiler there
        train(net, optimizer, vitals, batches(), step=torch.compile(optimizer.step, backend=backend))
    assert list(vitals.profiles) == [0, 4, 8]
    assert vitals.end["update_ratio/00.0"] > 0


@pytest.mark.parametrize("steps", [7, 8, 9])
@pytest.mark.parametrize("end", ["close", "forget"])
def test_code_is_compiled_again_once_a_watch_is_over(steps, end):
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=4, first_steps=1)
    train(in_place(net), optimizer, vitals, batches()[:steps])
    net(batches()[0][0])  # a batch that is broken off
    if end == "close":
        vitals.close()
    del net, optimizer, vitals
    gc.collect()
    ran = []
    torch.compile(lambda x: x + 1, backend=lambda graph, inputs: ran.append(1) or graph.forward)(torch.zeros(2))
    assert ran
