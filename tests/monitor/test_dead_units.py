"""Dead units, counted over at least a thousand samples."""

import pytest
import torch
from lightning import Callback

from gradvitals import GradientVitals
from tests.monitor.small_fit import Model, fit


def dying() -> Model:
    model = Model()
    model.net[0].bias.data[:2] = -100.0
    return model


def test_dead_units_are_told_after_a_thousand_samples():
    seen = {}

    class Looks(Callback):
        def on_train_batch_end(self, trainer, *_):
            step = trainer.global_step - 1
            seen[step] = monitor.end.get("dead_fraction/00.net.0")

    monitor = GradientVitals(every_n_steps=10, first_steps=0)
    fit(dying(), monitor, Looks(), samples=2000, max_epochs=1)
    assert seen[99] is None  # the thousandth sample has just been seen; the next measured step tells
    assert seen[100] == pytest.approx(2 / 6)
    assert "dead_fraction/01.net.2" not in monitor.end  # no activation behind it


def test_fewer_samples_tell_nothing():
    assert not [tag for tag in fit(dying(), GradientVitals(every_n_steps=1), samples=400).end if "dead" in tag]


def test_dead_units_in_a_compiled_net_are_counted_over_measured_steps():
    model = dying()
    model.net = torch.compile(model.net, backend="eager")
    monitor = fit(model, GradientVitals(every_n_steps=1), samples=600)
    assert monitor.end["dead_fraction/00.net.0"] == pytest.approx(2 / 6)
