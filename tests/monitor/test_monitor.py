"""What the monitor costs between measured steps, and what it survives."""

import json
import math
import pickle

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from gradvitals import GradientVitals
from tests.monitor.small_fit import Model, fit


class Counts(TorchDispatchMode):
    """Notes the names of the operators that run."""

    def __init__(self) -> None:
        super().__init__()
        self.ran: list[str] = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.ran.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


class Counted(GradientVitals):
    """Counts what the monitor itself computes, step by step."""

    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.operators: dict[int, list[str]] = {}

    def count(self, hook, trainer, *arguments):
        step = trainer.global_step - (hook.__name__ == "on_train_batch_end")
        with Counts() as counts:
            hook(trainer, *arguments)
        self.operators[step] = [*self.operators.get(step, []), *counts.ran]

    def on_train_batch_start(self, *arguments):
        self.count(super().on_train_batch_start, *arguments)

    def on_before_optimizer_step(self, *arguments):
        self.count(super().on_before_optimizer_step, *arguments)

    def on_train_batch_end(self, *arguments):
        self.count(super().on_train_batch_end, *arguments)


def test_between_measured_steps_nothing_is_computed():
    monitor = fit(Model(), Counted(every_n_steps=5, first_steps=0, activations=False))
    idle = {step: ran for step, ran in monitor.operators.items() if step % 5}
    assert len(idle) == 9
    assert all(set(ran) <= {"detach"} for ran in idle.values())  # the loss is kept
    assert "_foreach_norm" in monitor.operators[5]


class Complex(nn.Module):
    """A complex weight, as Fourier layers have."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 3, dtype=torch.cfloat))

    def forward(self, x):
        return (x.to(torch.cfloat) @ self.weight).abs()


class Empties(Model):
    """Calls the network with an empty batch, too."""

    def training_step(self, batch, batch_idx):
        self.net(batch[0][:0])
        return super().training_step(batch, batch_idx)


class NoLoss(Model):
    """Skips every third batch, as Lightning allows."""

    def training_step(self, batch, batch_idx):
        return None if batch_idx % 3 == 0 else super().training_step(batch, batch_idx)


class Closures(Model):
    """An optimizer that calls its closure again and again within one step."""

    def configure_optimizers(self):
        return torch.optim.LBFGS(self.parameters(), max_iter=5)


@pytest.mark.filterwarnings("ignore:.*returned `None`.*")
@pytest.mark.parametrize("make", [Empties, NoLoss, Closures, lambda: Model(Complex())])
def test_what_people_do(make):
    model = make()  # here, so that its weights are those of the seed
    # Without the steps that a spike adds, which depend on the weights.
    monitor = fit(model, GradientVitals(every_n_steps=3, spike_steps=0, noise_scale=True, histograms=True))
    steps = list(monitor.history.values)
    if not isinstance(model, NoLoss):  # of twelve, the first ten and multiples of three
        assert steps == list(range(10))
    assert all(math.isfinite(value) for value in monitor.end.values())
    if isinstance(model.net[0], Complex):
        assert monitor.end["grad_norm/total"] == monitor.end["grad_norm/00.net.0"] > 0


def test_each_measured_step_knows_the_losses_before_it():
    """Which the picture of the gradients shows beside them."""
    monitor = fit(Model(), GradientVitals(every_n_steps=3, spike_steps=0))
    assert set(monitor.profiles) - {0} == set(monitor.losses) - {12}  # the end of the fit
    assert all(loss > 0 for loss in monitor.losses.values())


def test_state_is_plain(tmp_path):
    monitor = fit(Model(), GradientVitals(noise_scale=True))
    json.dumps(monitor.state_dict())
    assert len(pickle.dumps(monitor.start)) < 10_000
