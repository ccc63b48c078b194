"""Where a schedule ends, and what becomes of it in a longer fit: by hand on four or eight steps."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from gradvitals.lr_schedule import FitLength, LRSchedule

COSINE = {"_target_": "torch.optim.lr_scheduler.CosineAnnealingLR", "interval": "step", "T_max": None, "eta_min": 0.0}
ONE_CYCLE = {"_target_": "torch.optim.lr_scheduler.OneCycleLR", "interval": "step", "total_steps": None}


def optimizer(kind=torch.optim.SGD, **settings) -> torch.optim.Optimizer:
    return kind([torch.zeros(1, requires_grad=True)], lr=1.0, **settings)


def trained(spec, steps: int, of: int, kind=torch.optim.SGD, **settings):
    """A schedule over a fit of so many steps, some of which were taken."""
    schedule, opt = LRSchedule(spec), optimizer(kind, **settings)
    scheduler = schedule.build(opt, FitLength(1, of))
    opt.step()
    for _ in range(steps):
        if not schedule.is_over(scheduler):
            scheduler.step()
    return schedule, scheduler, opt


def rate(opt) -> float:
    return opt.param_groups[0]["lr"]


def trainer(batches: float, max_epochs: int | None, max_steps: int = -1, epoch: int = 0, step: int = 0, accumulate=1):
    known = max_steps >= 0 or (math.isfinite(batches) and max_epochs >= 0)
    return SimpleNamespace(
        num_training_batches=batches,
        accumulate_grad_batches=accumulate,
        max_epochs=max_epochs,
        max_steps=max_steps,
        current_epoch=epoch,
        global_step=step,
        estimated_stepping_batches=1 if known else math.inf,
        fit_loop=SimpleNamespace(setup_data=lambda: None),
    )


@pytest.mark.parametrize(
    ("fit", "began", "epochs", "steps"),
    [
        (trainer(40, 4), 0, 4, 160),
        (trainer(41, 4, accumulate=2), 0, 4, 84),  # the last batch of an epoch steps alone
        (trainer(40, 20, max_steps=80), 0, 2, 80),
        (trainer(40, -1, max_steps=50), 0, 2, 50),  # the second epoch is cut
        (trainer(40, 4, epoch=2, step=80), 80, 4, 160),  # resumed between epochs
        (trainer(40, 4, epoch=1, step=55), 40, 4, 160),  # and within one
        (trainer(40, 4, epoch=1, step=55), None, 4, 160),  # from a checkpoint that does not say when the epoch began
        (trainer(40, -1, max_steps=200, epoch=2, step=50), 50, 6, 200),  # the second was cut: four more are to come
        (trainer(40, -1, max_steps=200, epoch=2, step=85), 50, 6, 200),  # killed within the third
        (trainer(20, 8, epoch=4, step=160), 160, 8, 240),  # with batches of twice the size since
        (trainer(20, 8, epoch=5, step=187), 180, 8, 240),
        (trainer(math.inf, -1, max_steps=7), 0, 1, 7),
        (trainer(40, 0), 0, 1, 1),
        (trainer(0, 4), 0, 4, 4),  # limit_train_batches=0
    ],
)
def test_the_length_of_a_fit(fit, began, epochs, steps):
    assert FitLength.of(fit, began) == FitLength(epochs, steps)


@pytest.mark.parametrize("fit", [trainer(40, -1), trainer(math.inf, 3)])
def test_a_fit_without_an_end_has_no_length(fit):
    with pytest.raises(ValueError, match=r"set trainer\.max_epochs or trainer\.max_steps"):
        FitLength.of(fit)


def test_a_cosine_that_is_extended_follows_the_longer_curve():
    schedule, scheduler, opt = trained(COSINE, 4, of=4)
    assert rate(opt) == pytest.approx(0)
    said = schedule.follow(scheduler, optimizer(), FitLength(1, 8), FitLength(0, 4))
    assert rate(opt) == pytest.approx(0.5)  # (1 + cos(pi / 2)) / 2
    assert said == "CosineAnnealingLR ends at step 8 instead of 4; the rate changes from 0 to 0.5 at step 4"
    found = []
    for _ in range(4):
        scheduler.step()
        found.append(rate(opt))
    assert found == pytest.approx([(1 + math.cos(math.pi * step / 8)) / 2 for step in (5, 6, 7, 8)])


def test_a_cosine_that_is_shortened_reaches_its_floor_at_the_new_end():
    schedule, scheduler, opt = trained(COSINE, 2, of=8)
    schedule.follow(scheduler, optimizer(), FitLength(1, 4), FitLength(0, 2))
    assert rate(opt) == pytest.approx(0.5)
    for _ in range(2):
        scheduler.step()
    assert rate(opt) == pytest.approx(0)


@pytest.mark.parametrize("spec", [COSINE, ONE_CYCLE])
def test_a_schedule_that_is_kept_ends_where_it_was_to_end(spec):
    schedule, scheduler, opt = trained(spec | {"on_resume": "keep"}, 2, of=4)
    before = rate(opt)
    said = schedule.follow(scheduler, optimizer(), FitLength(1, 8), FitLength(0, 2))
    assert said.endswith("still ends at step 4 of 8; then its last rate stays")
    assert rate(opt) == before
    assert not schedule.is_over(scheduler)
    while not schedule.is_over(scheduler):
        scheduler.step()
    assert rate(opt) < 1e-5
    assert schedule.follow(scheduler, optimizer(), FitLength(1, 8), FitLength(0, 4)).endswith(
        f"its rate of {rate(opt):.4g} stays"
    )


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_one_cycle_changes_the_momentum_too(kind):
    settings = {"momentum": 0.9} if kind is torch.optim.SGD else {}
    schedule, scheduler, opt = trained(ONE_CYCLE, 4, of=4, kind=kind, **settings)
    schedule.follow(scheduler, optimizer(kind, **settings), FitLength(1, 8), FitLength(0, 4))
    _, straight, expected = trained(ONE_CYCLE, 4, of=8, kind=kind, **settings)
    assert scheduler.state_dict() == straight.state_dict()
    assert {**opt.param_groups[0], "params": 0} == {**expected.param_groups[0], "params": 0}


@pytest.mark.parametrize(
    "spec",
    [
        {"_target_": "torch.optim.lr_scheduler.StepLR", "interval": "epoch", "step_size": 2},
        {"_target_": "torch.optim.lr_scheduler.ReduceLROnPlateau", "interval": "epoch"},
        COSINE | {"T_max": 3},  # chosen: a cosine of several periods
    ],
)
def test_a_schedule_without_an_end_goes_on(spec):
    schedule, opt = LRSchedule(spec), optimizer()
    scheduler = schedule.build(opt, FitLength(4, 4))
    assert schedule.follow(scheduler, optimizer(), FitLength(8, 8), FitLength(4, 4)) is None
    assert not schedule.is_over(scheduler)


def test_the_same_length_changes_nothing():
    schedule, scheduler, opt = trained(ONE_CYCLE, 2, of=4)
    state, before = scheduler.state_dict(), rate(opt)
    assert schedule.follow(scheduler, optimizer(), FitLength(1, 4), FitLength(0, 2)) is None
    assert (scheduler.state_dict(), rate(opt)) == (state, before)


def test_a_fit_that_steps_alone_limit_has_epochs_too():
    """Lightning counts the batches late where ``max_epochs`` is -1."""
    found = []

    class Model(LightningModule):
        def __init__(self):
            super().__init__()
            self.net = torch.nn.Linear(2, 1)

        def training_step(self, batch, batch_idx):
            return self.net(batch[0]).square().mean()

        def configure_optimizers(self):
            found.append(FitLength.of(self.trainer))
            return torch.optim.SGD(self.parameters(), lr=1e-3)

    data = DataLoader(TensorDataset(torch.zeros(8, 2)), batch_size=2)
    Trainer(max_steps=8, accelerator="cpu", logger=False, barebones=True).fit(Model(), data)
    assert found == [FitLength(2, 8)]
