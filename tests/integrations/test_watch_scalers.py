"""Loops with a loss scaler: what watch sees of it, whether it was given the scaler or not."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.amp import GradScaler

from gradvitals import watch
from tests.integrations.same_training import adam, batches, network
from tests.integrations.test_watch import hooks, one_line


class Silent:
    def log(self, loss):
        pass


def train_scaled(net, optimizer, scaler, vitals, some=None):
    for x, y in some or batches():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.float16):
            loss = F.cross_entropy(net(x), y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        vitals.log(loss)


@pytest.mark.parametrize("scale", [2.0**10, 2.0**16])
def test_a_scaler_that_watch_was_not_given(scale, caplog):
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=2)
    train_scaled(net, optimizer, GradScaler("cpu", init_scale=scale), vitals)
    assert one_line(caplog).endswith("watch(..., scaler=scaler)")


@pytest.mark.parametrize("factor", [1 / 16, 0.3, 3.0, 100.0])
def test_other_factors_of_the_loss_are_no_scaler(factor, caplog):
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=2)
    for x, y in batches():
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        (factor * loss).backward()
        optimizer.step()
        vitals.log(loss)
    assert not caplog.messages


def test_a_sum_over_the_batch_is_no_scaler(caplog):
    net = network()
    optimizer = adam(net)
    vitals = watch(net, optimizer, every_n_steps=2)
    for x, y in batches():
        loss = F.cross_entropy(net(torch.cat([x] * 16)[:128]), torch.cat([y] * 16)[:128], reduction="sum")
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        vitals.log(loss / 128)
    assert not caplog.messages


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda scaler: pickle.loads(pickle.dumps(scaler))])
def test_a_copied_scaler_is_not_watched(copied):
    net, other = network(), network()
    optimizer, scaler = adam(net), GradScaler("cpu", init_scale=2.0**10)
    vitals = watch(net, optimizer, scaler=scaler, every_n_steps=1)
    train_scaled(net, optimizer, scaler, vitals, batches()[:3])
    twin = copied(scaler)
    theirs = adam(other)
    train_scaled(other, theirs, twin, Silent(), batches()[:3])
    assert twin.get_scale() == scaler.get_scale()
    assert twin.step.__self__ is twin
    assert len(vitals.profiles) == 3


@pytest.mark.parametrize("first_to_close", [0, 1])
def test_two_watches_of_one_scaler(first_to_close):
    nets = [network(), network()]
    optimizers, scaler = [adam(net) for net in nets], GradScaler("cpu", init_scale=2.0**10)
    both = [watch(n, o, scaler=scaler, every_n_steps=1) for n, o in zip(nets, optimizers, strict=True)]
    for step, (x, y) in enumerate(batches()):
        for net, optimizer, vitals in zip(nets, optimizers, both, strict=True):
            loss = F.cross_entropy(net(x), y)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            scaler.step(optimizer)
            vitals.log(loss)
        scaler.update()
        if step == 5:
            both[first_to_close].close()
    other = both[1 - first_to_close]
    assert list(other.profiles) == list(range(12))
    assert "clip/coefficient" not in other.end
    other.close()
    assert not {"step", "unscale_"} & vars(scaler).keys()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"total_steps": "10"}, "total_steps: expected an integer of at least 1; got '10'"),
        ({"total_steps": -1}, "total_steps: expected an integer of at least 1; got -1"),
        ({"accumulate_grad_batches": 0}, "accumulate_grad_batches: expected an integer of at least 1; got 0"),
        ({"scaler": True}, "scaler: expected a torch.amp.GradScaler; got bool"),
        ({"log_dir": 3}, "log_dir: expected a path, such as 'runs/1'; got int"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, message):
    net = network()
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        watch(net, adam(net), **arguments)
    assert hooks(net) == 0


def test_a_loss_of_numpy_is_a_number(caplog):
    net = network()
    vitals = watch(net, adam(net), every_n_steps=1)
    for x, _ in batches():
        net(x)
        vitals.log(np.float32(0.5))
    assert not caplog.messages
