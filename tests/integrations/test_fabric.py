"""A loop with the real Fabric: its numbers are those of plain autograd in float64, before and after clipping."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest
import torch
from lightning import Fabric
from lightning.fabric.loggers import CSVLogger
from lightning.fabric.plugins.precision import MixedPrecision
from torch import nn

import gradvitals
from gradvitals.integrations.fabric import watch_fabric
from tests.integrations.net import MOST, RATE, SCALE, Kept, Net, batches, expected, hooks_of, losses_of

STEPS = 6


def train(fabric: Fabric, model, optimizer, vitals, accumulates: int = 1) -> None:
    with vitals:
        for number, (x, y) in enumerate(batches(STEPS * accumulates), start=1):
            loss = nn.functional.cross_entropy(model(x), y) / accumulates
            fabric.backward(loss)
            if number % accumulates == 0:
                fabric.clip_gradients(model, optimizer, max_norm=MOST)
                optimizer.step()
                optimizer.zero_grad()
            vitals.log(loss)


def set_up(fabric: Fabric, net: Net):
    return fabric.setup(net, torch.optim.SGD(net.parameters(), lr=RATE))


@pytest.mark.parametrize("accumulates", [1, 2])
def test_the_numbers_are_those_of_autograd(accumulates):
    fabric, net, kept = Fabric(accelerator="cpu", devices=1), Net(), Kept()
    steps = expected(net, batches(STEPS * accumulates), accumulates)
    model, optimizer = set_up(fabric, net)
    settings = {"every_n_steps": 1, "accumulate_grad_batches": accumulates}
    vitals = watch_fabric(fabric, model, optimizer, logger=kept, **settings)
    train(fabric, model, optimizer, vitals, accumulates)
    kept.assert_agrees(steps)
    assert vitals.losses[1] == pytest.approx(
        mean(losses_of(net)[accumulates - 1 : 2 * accumulates - 1]), rel=1e-5
    )  # known when step 1 is measured
    assert hooks_of(net) == hooks_of(model) == 0


def test_with_a_loss_scaler():
    precision = MixedPrecision("16-mixed", device="cpu", scaler=torch.amp.GradScaler("cpu", init_scale=SCALE))
    precision._desired_input_dtype = torch.float32  # CPUs are slow and inexact in half precision
    fabric, net, kept = Fabric(accelerator="cpu", devices=1, plugins=precision), Net(), Kept()
    steps = expected(net, batches(STEPS), 1)
    precision.forward_context = lambda: torch.autocast("cpu", enabled=False)
    model, optimizer = set_up(fabric, net)
    train(fabric, model, optimizer, watch_fabric(fabric, model, optimizer, every_n_steps=1, logger=kept))
    kept.assert_agrees(steps)
    assert kept.steps[1]["scaler/scale"] == SCALE


def test_numbers_go_to_the_loggers_of_fabric(tmp_path: Path):
    fabric, net = Fabric(accelerator="cpu", devices=1, loggers=CSVLogger(tmp_path, name="a", version="b")), Net()
    model, optimizer = set_up(fabric, net)
    train(fabric, model, optimizer, watch_fabric(fabric, model, optimizer, every_n_steps=1))
    fabric.logger.save()
    assert "grad_norm_clipped/total" in (tmp_path / "a" / "b" / "metrics.csv").read_text().splitlines()[0]


def test_watch_recognizes_what_fabric_has_set_up():
    fabric, net, kept = Fabric(accelerator="cpu", devices=1), Net(), Kept()
    steps = expected(net, batches(STEPS), 1)
    model, optimizer = set_up(fabric, net)
    train(fabric, model, optimizer, gradvitals.watch(model, optimizer, every_n_steps=1, logger=kept))
    kept.assert_agrees(steps)


def test_a_failing_loop_leaves_no_hook():
    fabric, net = Fabric(accelerator="cpu", devices=1), Net()
    model, optimizer = set_up(fabric, net)
    with pytest.raises(RuntimeError, match="shapes"), watch_fabric(fabric, model, optimizer):
        model(torch.zeros(1, 1))
    assert hooks_of(net) == hooks_of(model) == 0
