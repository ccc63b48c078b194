"""A metric of `self.log` is a witness: what the callback hands on, and the verdict on small fits."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from gradvitals import GradientVitals
from gradvitals.diagnosis.metric import Metric
from gradvitals.monitor.logged_metrics import witnesses
from tests.callbacks.trainer import bare_trainer

GENERATOR = torch.Generator().manual_seed(0)
X, X_VAL = torch.randn(128, 16, generator=GENERATOR), torch.randn(512, 16, generator=GENERATOR)
CLASSES = torch.randn(16, 4, generator=GENERATOR)


def right(x: torch.Tensor) -> torch.Tensor:
    return (x @ CLASSES).argmax(1)


def shuffled(x: torch.Tensor) -> torch.Tensor:
    return right(x)[torch.randperm(len(x), generator=torch.Generator().manual_seed(1))]


class Net(LightningModule):
    """Somebody's own module with a validation loop."""

    def __init__(self, labels=right, lr: float = 3e-3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(16, 128), nn.ReLU(), nn.Linear(128, 4))
        self.labels, self.lr = labels, lr

    def training_step(self, batch, batch_idx):
        return F.cross_entropy(self.net(batch[0]), batch[1])

    def validation_step(self, batch, batch_idx):
        outputs = self.net(batch[0])
        self.log("val/loss", F.cross_entropy(outputs, batch[1]))
        self.log("val/acc", (outputs.argmax(1) == batch[1]).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=self.lr)

    def train_dataloader(self):
        return DataLoader(TensorDataset(X, self.labels(X)), batch_size=16)

    def val_dataloader(self):
        return DataLoader(TensorDataset(X_VAL, self.labels(X_VAL)), batch_size=256)


class TwoPlayers(Net):
    """Two nets with an optimizer and a loss of their own, whose losses are taken to show nothing."""

    def __init__(self, **options):
        super().__init__(**options)
        self.automatic_optimization = False
        self.other = nn.Linear(16, 4)

    def training_step(self, batch, batch_idx):
        for optimizer, net in zip(self.optimizers(), (self.net, self.other), strict=True):
            optimizer.zero_grad()
            self.manual_backward(F.cross_entropy(net(batch[0]), batch[1]))
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.Adam(net.parameters(), lr=self.lr) for net in (self.net, self.other)]


def fit(net: LightningModule, monitor: GradientVitals | None = None, **options) -> GradientVitals:
    monitor = monitor or GradientVitals()
    bare_trainer(monitor, **{"max_epochs": 40} | options).fit(net)
    return monitor


def metrics(monitor: GradientVitals) -> dict[str, Metric]:
    return monitor._verdict.run.history.metrics


# which metrics


def test_the_metric_asked_for_comes_first():
    names = ["train/loss", "val/loss", "val/acc", "reward"]
    assert witnesses(names, "reward") == [
        Metric("reward", "max", is_asked=True),
        Metric("val/loss", "min", is_loss=True),
        Metric("val/acc", "max"),
    ]
    assert witnesses(names, "val/loss")[0] == Metric("val/loss", "min", is_asked=True, is_loss=True)
    assert witnesses(names, "absent") == witnesses(names)


@pytest.mark.parametrize("name", ["val/loss", "val_loss", "valid_loss", "loss/val", "val/loss/dataloader_idx_0"])
def test_names_of_a_validation_loss(name):
    assert witnesses([name]) == [Metric(name, "min", is_loss=True)]


@pytest.mark.parametrize("name", ["value_loss", "train/loss", "interval", "val/depth", "test/acc"])
def test_what_is_no_witness(name):
    assert witnesses([name]) == []


def test_a_metric_whose_name_does_not_say_what_is_better():
    with pytest.raises(ValueError, match="monitor.mode: the name of the metric 'depth' .*; expected min or max"):
        GradientVitals(metric="depth")
    assert GradientVitals(metric="depth", mode="min").settings.metric == "depth"


# when


def test_a_value_for_each_validation_and_none_of_the_sanity_check():
    monitor = fit(Net(), max_epochs=4, val_check_interval=4, num_sanity_val_steps=2)
    assert [step for step, _ in metrics(monitor)["val/loss"].values] == [3, 7, 11, 15, 19, 23, 27, 31]
    monitor = fit(Net(), max_epochs=4, check_val_every_n_epoch=2)
    assert [step for step, _ in metrics(monitor)["val/loss"].values] == [15, 31]  # an old value is not taken again


def test_a_metric_of_training_is_taken_at_measured_steps_and_at_ends_of_epochs():
    class Agent(Net):
        def training_step(self, batch, batch_idx):
            self.log("reward", float(self.global_step))
            return super().training_step(batch, batch_idx)

        def on_train_epoch_end(self):
            self.log("score", float(self.current_epoch))

    monitor = fit(Agent(), GradientVitals(metric="reward", first_steps=2, every_n_steps=5), max_epochs=2)
    assert metrics(monitor)["reward"].values == [(s, float(s)) for s in (0, 1, 5, 7, 10, 15)]
    monitor = fit(Agent(), GradientVitals(metric="score"), max_epochs=3)
    assert metrics(monitor)["score"].values == [(7, 0.0), (15, 1.0), (23, 2.0)]


def test_a_metric_that_fails_ends_no_fit(monkeypatch, caplog):
    def fails(*_):
        raise RuntimeError("no metric")

    monkeypatch.setattr("gradvitals.callbacks.gradient_vitals.witnesses", fails)
    monitor = fit(Net(), max_epochs=2)
    assert monitor.measured_steps
    assert caplog.text.count("the monitor: metrics failed") == 1


def test_a_metric_that_is_never_logged_is_reported(caplog):
    fit(Net(), GradientVitals(metric="val/accuracy"), max_epochs=1)
    expected = "expected the name of a logged metric; got 'val/accuracy'. Logged: val/acc, val/loss"
    assert expected in caplog.text


# the verdict


def test_labels_that_are_learned_by_heart():
    found = fit(Net(labels=shuffled)).diagnosis
    assert (found.verdict, found.severity) == ("not_learning", 1.0)
    assert "does not hold for other samples" in found.reason


def test_labels_that_are_right_although_the_net_overfits():
    """The first validation shows what the net has learned; a long fit then spoils the loss, not the verdict."""
    monitor = fit(Net(lr=0.02), max_epochs=60)
    known = metrics(monitor)["val/loss"]
    assert known.values[-1][1] > 1.1 * known.best
    assert monitor.diagnosis.verdict == "healthy"


def test_two_players_and_a_metric_that_improves():
    asked = GradientVitals(metric="val/acc", mode="max")
    found = fit(TwoPlayers(lr=3e-4), asked).diagnosis
    assert (found.verdict, found.reason.partition(" from ")[0]) == ("healthy", "val/acc has improved")


def test_two_players_and_a_metric_that_does_not_improve():
    asked = GradientVitals(metric="val/acc", mode="max")
    found = fit(TwoPlayers(labels=shuffled, lr=3e-4), asked).diagnosis
    assert (found.verdict, found.reason.partition(" on ")[0]) == ("not_learning", "val/acc has not improved")


def test_a_metric_ends_no_fit_early():
    monitor = fit(Net(labels=shuffled), GradientVitals(auto_stop=True))
    assert (monitor.diagnosis.verdict, monitor.stopped_it) == ("not_learning", False)


def test_values_survive_a_resume(tmp_path):
    whole = fit(Net(labels=shuffled), max_epochs=8)
    trainer = bare_trainer(GradientVitals(), max_epochs=4)
    trainer.fit(Net(labels=shuffled))
    trainer.save_checkpoint(tmp_path / "half.ckpt")
    torch.load(tmp_path / "half.ckpt", weights_only=True)  # plain values
    again = GradientVitals()
    bare_trainer(again, max_epochs=8).fit(Net(labels=shuffled), ckpt_path=tmp_path / "half.ckpt")
    assert metrics(again) == metrics(whole)
    assert len(metrics(again)["val/loss"].values) == 8
