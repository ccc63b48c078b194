"""Which layers are measured."""

import math

import pytest
import torch
from torch import nn

from gradvitals import GradientVitals
from tests.monitor.small_fit import Model, fit


def test_include_and_exclude_name_layers():
    monitor = fit(Model(), GradientVitals(include=["net.2"]), max_epochs=1)
    assert {tag.rpartition("/")[2] for tag in monitor.start if "net" in tag} == {"00.net.2"}
    with pytest.raises(ValueError, match="got 'head'"):
        fit(Model(), GradientVitals(exclude=["head"]))


def test_norm_layers_have_weights_gradients_and_updates():
    model = Model(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3))
    monitor = fit(model, GradientVitals(norm_layers=True), max_epochs=1)
    of_norm = {tag.partition("/")[0] for tag in monitor.start if tag.endswith("01.net.1")}
    assert of_norm == {"grad_norm", "weight_norm", "update_ratio"}
    assert monitor.profiles[0][1] is None


def test_layers_that_are_made_late_are_found():
    class Grows(Model):
        def on_train_epoch_start(self):
            if self.current_epoch == 1:
                self.net.append(nn.Linear(3, 3))
                self.optimizers().add_param_group({"params": list(self.net[-1].parameters())})

    monitor = fit(Grows(), GradientVitals(every_n_steps=2, first_steps=0))
    assert [layer.name for layer in monitor.layers] == ["net.0", "net.2", "net.3"]
    assert monitor.end["grad_norm/02.net.3"] > 0


def test_lazy_layers():
    class Lazy(Model):
        def on_fit_start(self):
            self.net(torch.zeros(1, 4))

        def configure_optimizers(self):
            self.net(torch.zeros(1, 4))
            return super().configure_optimizers()

    monitor = fit(Lazy(nn.LazyLinear(6), nn.ReLU(), nn.LazyLinear(3)), GradientVitals(), max_epochs=1)
    assert [(layer.kind, layer.fan_in) for layer in monitor.layers] == [("Linear", 4), ("Linear", 6)]


class Tied(Model):
    """Two layers share a weight."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
        self.net[2].weight = self.net[0].weight


def test_a_shared_weight_is_shown_at_both_layers_and_counts_once():
    model = Tied()
    monitor = fit(model, GradientVitals(), max_steps=1)
    first, second = (monitor.start[f"grad_norm/0{i}.net.{name}"] for i, name in enumerate((0, 2)))
    assert first == second
    biases = math.hypot(*(model.net[i].bias.grad.norm().item() for i in (0, 2)))
    assert monitor.start["grad_norm/total"] == pytest.approx(math.hypot(first, biases), rel=1e-6)
