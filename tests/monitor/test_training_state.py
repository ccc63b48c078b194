"""What optimizers hold and change, in real fits: each fault is named, and healthy structures are none."""

import copy

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import nn

from gradvitals import GradientVitals
from gradvitals.diagnosis.training_state import TrainingState
from tests.monitor.small_fit import Model, fit

SOON = {
    "every_n_steps": 1,
    "thresholds": {"patience": 6, "learns": 0.5},
}  # labels that no net can learn in so few steps


def states(monitor: GradientVitals) -> list[TrainingState]:
    return [state for _, state in monitor._verdict.run.history.with_state]


def found(model: LightningModule, **options) -> GradientVitals:
    return fit(model, GradientVitals(**SOON), **options)


class Copied(Model):
    def configure_optimizers(self):
        return torch.optim.SGD(copy.deepcopy(self).parameters(), lr=0.01)


class FirstLayer(Model):
    def configure_optimizers(self):
        return torch.optim.SGD(self.net[0].parameters(), lr=0.01)


class Cut(Model):
    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net[2](self.net[:2](batch[0]).detach()), batch[1])


class CutByZero(Model):
    """The gradient arrives, and is exactly 0."""

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net[2](self.net[:2](batch[0]) * 0.0), batch[1])


class Hidden(Model):
    def __init__(self):
        super().__init__()
        self.plain = [nn.Linear(3, 3), nn.Linear(3, 3)]

    def training_step(self, batch, batch_idx):
        x = self.net(batch[0])
        for layer in self.plain:
            x = layer(x)
        return F.cross_entropy(x, batch[1])


class Anew(Model):
    def training_step(self, batch, batch_idx):
        return F.cross_entropy(nn.Linear(3, 3)(self.net(batch[0])), batch[1])


class NotZeroed(Model):
    def optimizer_zero_grad(self, *_):
        pass


class Forgotten(Model):
    """Trained by hand, without ``zero_grad``."""

    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        self.optimizers().step()
        return loss


class Scheduled(Model):
    def __init__(self, factor, optimizer=torch.optim.SGD, **settings):
        super().__init__()
        self.factor, self.optimizer, self.settings = factor, optimizer, {"lr": 0.01} | settings

    def configure_optimizers(self):
        optimizer = self.optimizer(self.parameters(), **self.settings)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.factor)
        return [optimizer], [{"scheduler": schedule, "interval": "step"}]


class HeadsBias(Model):
    def __init__(self):
        super().__init__(nn.Linear(4, 60), nn.ReLU(), nn.Linear(60, 3))
        self.net.requires_grad_(False)
        self.net[2].bias.requires_grad_(True)


FAULTS = {  # gradients are missing at the first step, and after the validation, before which Lightning zeroes them
    "copied": (Copied, "the optimizer holds none"),
    "first_layer": (FirstLayer, "no optimizer holds net.2.weight, net.2.bias"),
    "cut": (Cut, "net.0 ran"),
    "cut_by_zero": (CutByZero, "net.0 ran"),
    "hidden": (Hidden, "Linear, Linear ran"),
    "anew": (Anew, "Linear ran"),
    "not_zeroed": (NotZeroed, "still there at 10 of 12"),
    "forgotten": (Forgotten, "still there at 10 of 12"),
    "rate_of_zero": (lambda: Scheduled(lambda step: step // 100), "exactly 0 at all"),
    "heads_bias": (HeadsBias, "net.0 are frozen"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_no_update(name):
    build, sentence = FAULTS[name]
    monitor = found(build())
    assert monitor.diagnosis.verdict == "no_update"
    assert sentence in monitor.diagnosis.findings[0].evidence


def test_rate_decays():
    monitor = found(Scheduled(lambda step: 1.0 if step < 3 else 0.0))
    assert monitor.diagnosis.verdict == "rate_decays"
    assert "from 0.01 to 0 by step 3 of 12" in monitor.diagnosis.findings[0].evidence


@pytest.mark.parametrize(
    ("optimizer", "decay"), [(torch.optim.SGD, 10.0), (torch.optim.AdamW, 10.0), (torch.optim.Adam, 10.0)]
)
def test_weight_decay(optimizer, decay):
    monitor = found(Scheduled(lambda _: 1.0, optimizer, weight_decay=decay))
    assert monitor.diagnosis.verdict == "weight_decay"
    assert states(monitor)[0].decay == pytest.approx(0.1)


class Gated(nn.Module):
    """A residual branch whose gate is 0 at the start, as in ReZero."""

    def __init__(self):
        super().__init__()
        self.branch, self.gate = nn.Linear(6, 6), nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x + self.gate * self.branch(x)


class Adapted(nn.Module):
    """A frozen layer beside two of low rank, of which one is 0 at the start, as in LoRA."""

    def __init__(self):
        super().__init__()
        self.base, self.down, self.up = nn.Linear(6, 6), nn.Linear(6, 2), nn.Linear(2, 6)
        self.base.requires_grad_(False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Zero(nn.Linear):
    def __init__(self):
        super().__init__(6, 3)
        nn.init.zeros_(self.weight)


class Target(Model):
    """Beside a target network that runs without gradients and that no optimizer holds, and a frozen teacher in a list."""

    def __init__(self):
        super().__init__()
        self.target, self.teacher = copy.deepcopy(self.net), [copy.deepcopy(self.net).requires_grad_(False)]

    def training_step(self, batch, batch_idx):
        with torch.no_grad():
            aim = self.target(batch[0])
        return F.mse_loss(self.net(batch[0]), aim + self.teacher[0](batch[0]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.net.parameters(), lr=0.01)


class Tied(Model):
    def __init__(self):
        super().__init__(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.net[2].weight = self.net[0].weight


class TwoPlayers(Model):
    automatic_optimization = False

    def training_step(self, batch, batch_idx):
        for number, optimizer in enumerate(self.optimizers()):
            self.toggle_optimizer(optimizer)
            optimizer.zero_grad()
            self.manual_backward((-1) ** number * super().training_step(batch, batch_idx))
            optimizer.step()
            self.untoggle_optimizer(optimizer)

    def configure_optimizers(self):
        return [torch.optim.SGD(self.net[at].parameters(), lr=0.01) for at in (0, 2)]


HEALTHY = {
    "plain": Model,
    "gate": lambda: Model(nn.Linear(4, 6), Gated(), nn.Linear(6, 3)),
    "adapter": lambda: Model(nn.Linear(4, 6), Adapted(), nn.Linear(6, 3)),
    "zero_head": lambda: Model(nn.Linear(4, 6), nn.ReLU(), Zero()),
    "tied": Tied,
    "target": Target,
    "two_players": TwoPlayers,
}


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_structure_shows_nothing(name):
    seen = states(fit(HEALTHY[name](), GradientVitals(every_n_steps=1)))
    assert len(seen) >= 12
    for state in seen[3:]:
        assert state.trained_share > 0
        assert (state.unheld, state.foreign, state.unregistered, state.without_gradient) == ((), 0, (), ())
        assert not state.not_zeroed


def test_what_is_frozen_is_known():
    assert states(fit(HEALTHY["adapter"](), GradientVitals()))[0].frozen == ("net.1.base",)


class Thaws(Model):
    """Has 30 + 21 numbers; the first layer's are trained from the third step on."""

    def training_step(self, batch, batch_idx):
        self.net[0].requires_grad_(self.trainer.global_step >= 2)
        return super().training_step(batch, batch_idx)


def test_the_share_that_is_trained_is_counted_anew_where_something_thaws():
    seen = states(fit(Thaws(), GradientVitals(every_n_steps=1), max_epochs=1))
    assert [state.trained_share for state in seen[:4]] == [21 / 51, 21 / 51, 1.0, 1.0]


@pytest.mark.parametrize("batches", [2, 3])
def test_accumulated_batches_are_no_gradients_that_were_left(batches):
    seen = states(fit(Model(), GradientVitals(every_n_steps=1), accumulate_grad_batches=batches))
    assert seen
    assert not any(state.not_zeroed for state in seen)


def test_no_hook_is_left():
    fit(Model(), GradientVitals())
    fit(TwoPlayers(), GradientVitals())
    assert not torch.nn.modules.module._global_forward_pre_hooks


def test_a_session_resumes_what_it_knew():
    monitor = GradientVitals(every_n_steps=1)
    fit(Cut(), monitor, max_epochs=1)
    kept = monitor.state_dict()["session"]["state"]
    assert kept == {"called": ["net.0", "net.2"], "strangers": [], "idle": {0: ["net.0"]}}
