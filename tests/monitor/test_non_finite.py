"""Numbers that are not finite: seen, named, kept from the weights."""

import logging
import math

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import nn
from torch.amp import GradScaler
from torch.utils.data import DataLoader, TensorDataset
from torchmetrics import MeanMetric

from gradvitals import GradientVitals
from gradvitals.monitor.collectors.non_finite import warning
from gradvitals.vitals import Layer
from tests.callbacks.trainer import bare_trainer

BAD = 7  # the step whose batch is poisoned


class Poison(nn.Module):
    """Spoils what passes through it where the last input says so: forward a number, or backward its gradient."""

    def __init__(self, forward: bool, value: float) -> None:
        super().__init__()
        self.forwards, self.value = forward, value

    def forward(self, x):
        if not self.on:
            return x
        if self.forwards:
            return x * torch.tensor([self.value] + [1.0] * (x.shape[1] - 1))
        return x + (0 * x).sqrt().sum() if self.value == math.inf else x  # the slope of sqrt at 0


class Model(LightningModule):
    """Four layers, the third of which is spoilt at one step."""

    def __init__(self, where="forward", value=math.nan, manual=False, bad=BAD) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.automatic_optimization = not manual
        poison = Poison(where == "forward", value)
        self.net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), poison, nn.Linear(6, 3))
        self.seen, self.where, self.bad, self.steps = MeanMetric(), where, bad, []

    def training_step(self, batch, batch_idx):
        x, y = batch
        step = self.trainer.fit_loop.epoch_loop.total_batch_idx
        self.net[3].on = step == self.bad
        if self.where == "batch" and step == self.bad:
            x = x * math.nan
            batch[0].copy_(x)
        loss = F.cross_entropy(self.net(x), y)
        self.seen.update(1.0)
        self.log("train/loss", loss)
        if not self.automatic_optimization:
            optimizer = self.optimizers()
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()
        return loss

    def on_train_batch_end(self, outputs, batch, batch_idx):
        self.steps.append(self.net[0].weight.detach().clone())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


def fit(model: LightningModule, on_non_finite: str, **options) -> tuple[GradientVitals, Trainer]:
    monitor = GradientVitals(every_n_steps=5, first_steps=0, on_non_finite=on_non_finite)
    trainer = bare_trainer(monitor, **{"max_epochs": 2} | options)
    x = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    trainer.fit(model, DataLoader(TensorDataset(x, torch.arange(60) % 3), batch_size=6))
    return monitor, trainer


PLACES = {
    ("forward", math.nan): "the output of net.3 (Poison)",
    ("forward", math.inf): "the output of net.3 (Poison)",
    ("backward", math.inf): "the gradient of the loss with respect to the output of net.2 (Tanh)",
    ("batch", math.nan): "the inputs of the batch",
}


@pytest.mark.parametrize("clip", [None, 1.0])
@pytest.mark.parametrize(("where", "value"), list(PLACES))
def test_skip_keeps_the_weights_and_names_the_place(where, value, clip, caplog):
    model = Model(where, value)
    monitor, trainer = fit(model, "skip", gradient_clip_val=clip)
    assert monitor.non_finite == (BAD, PLACES[where, value])
    assert monitor.skipped_steps == 1
    assert trainer.global_step == 20
    assert torch.equal(model.steps[BAD], model.steps[BAD - 1])
    assert not torch.equal(model.steps[BAD + 1], model.steps[BAD])
    assert all(weights.isfinite().all() for weights in model.steps)
    assert all(statistics.isfinite().all() for statistics in model.buffers())  # the forward pass had spoilt them
    assert [record.message for record in caplog.records if "not finite" in record.message] == [
        f"the gradient is not finite at step {BAD}: first {PLACES[where, value]}. By monitor.on_non_finite=skip the step is "
        "skipped, as further ones will be"
    ]
    assert monitor.end["non_finite/skipped_steps"] == 1
    assert "clip_grad_by_norm" not in vars(trainer.precision_plugin)


def test_repeating_the_batch_leaves_no_trace():
    model = Model("backward", math.inf)
    fit(model, "skip")
    assert model.seen.weight.item() == 20  # updated once per batch
    assert int(model.net[1].num_batches_tracked) == 20
    assert "log" not in vars(model)


def test_stop_ends_the_fit_before_the_poison():
    model = Model("forward")
    monitor, trainer = fit(model, "stop")
    assert trainer.should_stop
    assert len(model.steps) == BAD + 1
    assert model.steps[-1].isfinite().all()
    assert monitor.non_finite == (BAD, PLACES["forward", math.nan])


def test_clipping_by_norm_is_the_trainers_own_to_the_last_bit():
    ours, theirs = Model(bad=-1), Model(bad=-1)
    fit(ours, "skip", gradient_clip_val=0.05)
    fit(theirs, "warn", gradient_clip_val=0.05)
    assert torch.equal(ours.steps[-1], theirs.steps[-1])


def test_manual_optimization_is_named_by_its_gradients():
    model = Model("forward", manual=True)
    monitor, _ = fit(model, "skip")
    assert monitor.non_finite == (BAD, "the gradient of net.4.bias")
    assert all(weights.isfinite().all() for weights in model.steps)


def test_of_accumulated_batches_the_one_to_blame_is_repeated():
    class FirstOfThree(Model):  # batch 3 of the batches 3, 4, 5 that make step 1
        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * math.nan if torch.equal(batch[0], self.blamed) else loss

    model = FirstOfThree(bad=-1)
    model.blamed = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))[18:24]
    monitor, _ = fit(model, "skip", accumulate_grad_batches=3, max_epochs=1)
    assert monitor.non_finite == (1, "the loss, while the outputs are finite")
    assert all(weights.isfinite().all() for weights in model.steps)


def test_warn_tells_at_the_next_measured_step_and_names_the_layer(caplog):
    monitor, trainer = fit(Model("forward"), "warn")
    (words,) = [record.message for record in caplog.records if "not finite" in record.message]
    assert words.startswith(f"not finite: the loss or its gradient, from step {BAD} on; at step 10")
    assert "the parameter net.0" in words
    assert "at step 5, the last one before, net." in words
    assert monitor.non_finite[0] == BAD
    assert trainer.global_step == 20


def test_the_warning_names_the_largest_gradient_known():
    layers = [Layer(name, index, f"0{index}.{name}", "Linear", 4) for index, name in enumerate("abc")]
    _, sentence = warning(7, None, {"00.a": 1.0, "01.b": 3.0}, 5, layers)
    assert "at step 5, the last one before, b (Linear) has the largest gradient, 3. " in sentence
    assert "largest" not in warning(7, None, {}, 5, layers)[1]


def test_warn_names_the_layer_of_a_measured_step_itself(caplog):
    monitor, _ = fit(Model("backward", math.inf, bad=10), "warn")
    # Seen at layers: the gradient is spoilt on its way into the tanh, behind the first of the two.
    assert monitor.non_finite == (10, "the gradient of the loss with respect to the output of net.0 (Linear)")
    with caplog.at_level(logging.WARNING):
        assert sum("not finite" in record.message for record in caplog.records) == 1


def test_a_loss_that_is_not_finite_after_the_last_measured_step_is_told_at_the_end(caplog):
    monitor, _ = fit(Model("forward", bad=18), "warn")
    assert monitor.non_finite[0] == 18
    assert any("from step 18 on" in record.message for record in caplog.records)


def test_a_healthy_run_is_told_nothing(caplog):
    for mode in ("warn", "skip", "stop"):
        monitor, trainer = fit(Model(bad=-1), mode)
        assert monitor.non_finite is None
        assert trainer.global_step == 20
    assert not [record for record in caplog.records if "finite" in record.message]


@pytest.mark.parametrize("fused", [False, True])
def test_skipped_steps_of_a_loss_scaler_are_counted_with_its_scale(fused):
    class Mixed(Model):
        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.01, fused=fused)

    # It falls from 2 ** 40 until float16 can hold the gradients, and rises again every fifth step.
    scaler = GradScaler("cpu", init_scale=2.0**40, growth_interval=5)
    model = Mixed(bad=-1)
    weights = [model.net[0].weight.detach().clone(), *model.steps]
    monitor, _ = fit(model, "skip", plugins=[MixedPrecision("16-mixed", "cpu", scaler=scaler)], max_epochs=10)
    weights += model.steps
    last = max(monitor.history.values)
    skipped = sum(torch.equal(weights[step], weights[step + 1]) for step in range(last))
    assert 10 < skipped < 60
    assert monitor.end["scaler/skipped_steps"] == skipped
    assert math.log2(monitor.end["scaler/scale"]) < 30
    assert all(math.isfinite(value) for value in (*monitor.start.values(), *monitor.end.values()))
    assert monitor.skipped_steps == 0  # the scaler does it


def test_the_batch_is_repeated_with_the_same_random_numbers():
    class Draws(Model):
        def training_step(self, batch, batch_idx):
            self.drawn.append(torch.rand(()).item())
            return super().training_step(batch, batch_idx)

    model = Draws("forward")
    model.drawn = []
    fit(model, "skip")
    assert len(model.drawn) == 21
    assert model.drawn[BAD] == model.drawn[BAD + 1]  # the dropout that let it through is that which is looked at
    assert len(set(model.drawn)) == 20  # and those that follow are what they would have been


@pytest.mark.parametrize("mode", ["warn", "stop"])
@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_that_stays_not_finite_under_a_scaler_is_told(mode, fused):
    class Ill(Model):
        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.01, fused=fused)

        def training_step(self, batch, batch_idx):
            loss = super().training_step(batch, batch_idx)
            return loss * math.nan if self.trainer.global_step >= BAD else loss

    plugin = MixedPrecision("16-mixed", "cpu", scaler=GradScaler("cpu", init_scale=2.0**4))
    monitor, trainer = fit(Ill(bad=-1), mode, plugins=[plugin])
    assert monitor.non_finite[0] == BAD
    assert (trainer.global_step < 20) == (mode == "stop")


def test_a_module_that_clips_by_itself_is_looked_at_before():
    class Clips(Model):
        def configure_gradient_clipping(self, optimizer, gradient_clip_val=None, gradient_clip_algorithm=None):
            torch.nn.utils.clip_grad_norm_(self.parameters(), gradient_clip_val)

    model = Clips("forward")
    monitor, _ = fit(model, "skip", gradient_clip_val=1.0)
    assert monitor.non_finite == (BAD, PLACES["forward", math.nan])
    assert model.steps[-1].isfinite().all()
