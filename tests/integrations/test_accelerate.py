"""A loop with the real Accelerate: its numbers are those of plain autograd in float64, before and after clipping."""

from __future__ import annotations

from statistics import mean
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, GradientState, PartialState
from torch import nn

import gradvitals
from gradvitals.integrations.accelerate import watch_accelerator
from tests.integrations.net import MOST, RATE, SCALE, Kept, Net, batches, expected, hooks_of, losses_of, scaled

STEPS = 6


@pytest.fixture(autouse=True)
def no_state():
    """Accelerate keeps its state in class attributes."""
    yield
    for kind in (AcceleratorState, GradientState, PartialState):
        kind._reset_state()


def train(accelerator: Accelerator, net: Net, kept: Kept, accumulates: int, **settings: Any) -> Any:
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with watch_accelerator(accelerator, model, optimizer, every_n_steps=1, logger=kept, **settings) as vitals:
        for x, y in batches(STEPS * accumulates):
            with accelerator.accumulate(model):
                loss = nn.functional.cross_entropy(model(x), y)
                accelerator.backward(loss)
                if accelerator.sync_gradients:
                    accelerator.clip_grad_norm_(model.parameters(), MOST)
                optimizer.step()
                optimizer.zero_grad()
                vitals.log(loss)
    return vitals


@pytest.mark.parametrize("accumulates", [1, 2])
def test_the_numbers_are_those_of_autograd(accumulates):
    net, kept = Net(), Kept()
    steps = expected(net, batches(STEPS * accumulates), accumulates)
    vitals = train(Accelerator(cpu=True, gradient_accumulation_steps=accumulates), net, kept, accumulates)
    kept.assert_agrees(steps)
    assert vitals.losses[1] == pytest.approx(
        mean(losses_of(net)[accumulates - 1 : 2 * accumulates - 1]), rel=1e-5
    )  # known when step 1 is measured
    assert hooks_of(net) == 0


@pytest.mark.parametrize("accumulates", [1, 2])
def test_with_a_loss_scaler(accumulates):
    net, kept = Net(), Kept()
    steps = expected(net, batches(STEPS * accumulates), accumulates)
    accelerator = Accelerator(cpu=True, gradient_accumulation_steps=accumulates)
    scaled(accelerator)
    train(accelerator, net, kept, accumulates)
    kept.assert_agrees(steps)
    assert kept.steps[1]["scaler/scale"] == SCALE
    assert {"step", "unscale_"}.isdisjoint(vars(accelerator.scaler))


def test_numbers_go_to_the_trackers():
    accelerator, net = Accelerator(cpu=True), Net()
    logged = []
    accelerator.log = lambda numbers, step=None, **_: logged.append((step, numbers))
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with watch_accelerator(accelerator, model, optimizer, every_n_steps=1) as vitals:
        for x, y in batches(2):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            vitals.log(loss)
    assert {step for step, numbers in logged if "grad_norm/total" in numbers} == {0, 1}


def test_watch_recognizes_what_accelerate_has_prepared():
    accelerator, net, kept = Accelerator(cpu=True), Net(), Kept()
    steps = expected(net, batches(STEPS), 1, clips=None)
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with gradvitals.watch(model, optimizer, every_n_steps=1, logger=kept) as vitals:
        for x, y in batches(STEPS):
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            accelerator.backward(loss)
            optimizer.step()
            vitals.log(loss)
    kept.assert_agrees(steps)


def test_a_failing_loop_leaves_no_hook():
    accelerator, net = Accelerator(cpu=True), Net()
    model, optimizer = accelerator.prepare(net, torch.optim.SGD(net.parameters(), lr=RATE))
    with pytest.raises(RuntimeError, match="shapes"), watch_accelerator(accelerator, model, optimizer):
        model(torch.zeros(1, 1))
    assert hooks_of(net) == 0
    assert not optimizer.optimizer._optimizer_step_pre_hooks
    assert not optimizer.optimizer._optimizer_step_post_hooks
