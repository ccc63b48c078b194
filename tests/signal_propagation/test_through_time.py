"""The gradient through time in a pre-flight: what is measured, what is predicted, and where both are shown."""

import json
import math
from dataclasses import asdict

import pytest
import torch
import torch.nn.functional as F
from lightning import LightningModule
from torch import nn
from torch.nn.utils.rnn import pack_sequence
from torch.utils.data import DataLoader

from gradvitals import GradientVitals, preflight
from gradvitals.nets.recurrent import Recurrent
from gradvitals.report.pictures.gradient_through_time import preflight_through_time
from gradvitals.report.tables.preflight import table
from gradvitals.signal_propagation.reading import Preflight, TimeReading, content
from gradvitals.signal_propagation.through_time import TimePrediction, time_readings
from tests.callbacks.trainer import bare_trainer

STEPS, FEATURES = 24, 8


class Last(nn.Module):
    """A layer of torch, and a head that reads its last step."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        width = (layer.proj_size or layer.hidden_size) * (2 if layer.bidirectional else 1)
        self.layer, self.head = layer, nn.Linear(width, 1)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


def batch(samples=16):
    generator = torch.Generator().manual_seed(0)
    return torch.randn(samples, STEPS, FEATURES, generator=generator), torch.randn(samples, 1, generator=generator)


def reading(layer: nn.RNNBase) -> TimeReading:
    (found,) = preflight(Last(layer), batch(), F.mse_loss).through_time
    return found


def measured(norms):
    (found,) = time_readings({"rnn": norms}, {})
    return found.factor_measured


def test_a_matrix_that_scales():
    """One linear regime: tiny inputs, half the identity and no bias, so that each step halves the gradient."""
    layer = nn.RNN(FEATURES, 8, bias=False, batch_first=True)
    nn.init.eye_(layer.weight_hh_l0).data.mul_(0.5)
    nn.init.constant_(layer.weight_ih_l0, 1e-6)
    found = reading(layer)
    assert found.layer == "layer"
    assert [norm / found.norms[0] for norm in found.norms] == pytest.approx([2.0**t for t in range(STEPS)], rel=1e-5)
    assert found.factor_measured == pytest.approx(0.5, rel=1e-6)
    assert found.factor_predicted is None  # a diagonal that is not random
    assert found.memory == pytest.approx(math.log(100, 2))


def test_norms_that_are_no_numbers_do_not_count():
    levels = [0.1**step for step in range(50)][::-1]
    assert measured(levels) == pytest.approx(0.1)
    assert measured([norm if norm > 1e-37 else 0.0 for norm in levels]) == pytest.approx(0.1)
    assert measured([norm if norm > 1e-37 else 7e-38 for norm in levels]) == pytest.approx(0.1)
    assert measured([math.inf] * 30 + [10.0**step for step in range(20)][::-1]) == pytest.approx(10.0)
    assert measured([*levels, 0.0, 0.0]) == pytest.approx(0.1)  # steps that no loss reads
    assert measured([math.nan, 1.0, math.nan, 1.0]) is None
    assert measured([]) is measured([0.0, 0.0]) is measured([1.0]) is None


@pytest.mark.parametrize(
    "layer",
    [
        nn.LSTM(FEATURES, 16, num_layers=2, batch_first=True),
        nn.GRU(FEATURES, 16, bidirectional=True, batch_first=True),
        nn.LSTM(FEATURES, 16, proj_size=4, batch_first=True),
    ],
    ids=["two layers", "two directions", "projection"],
)
@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN")
def test_layers_that_theory_does_not_know_are_measured(layer):
    found = reading(layer)
    assert found.factor_predicted is None
    assert len(found.norms) == STEPS
    assert all(norm > 0 for norm in found.norms)


def test_weights_that_are_not_random_are_not_predicted():
    identity = Recurrent((STEPS, FEATURES), 1, cell="rnn", act="relu", width=32, recurrent_init="identity")
    (found,) = preflight(identity, batch(), F.mse_loss).through_time
    assert found.factor_predicted is None
    assert "not predicted" in table(preflight(identity, batch(), F.mse_loss))
    layer = nn.RNN(FEATURES, 32, batch_first=True)
    layer.weight_hh_l0.data.add_(0.2)  # a mean, of which nothing averages out
    assert reading(layer).factor_predicted is None


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_packed_and_time_first_inputs(kind):
    torch.manual_seed(1)
    layer = kind(FEATURES, 32, batch_first=True)
    x, y = batch()

    class TimeFirst(Last):
        def forward(self, x):
            self.layer.batch_first = False
            return self.head(self.layer(x.transpose(0, 1))[0][-1])

    class Packed(Last):
        def forward(self, x):
            return self.head(nn.utils.rnn.pad_packed_sequence(self.layer(pack_sequence(list(x)))[0])[0][-1])

    plain = preflight(Last(layer), (x, y), F.mse_loss).through_time[0]
    for other in (Packed(layer), TimeFirst(layer)):
        (found,) = preflight(other, (x, y), F.mse_loss).through_time
        assert len(found.norms) == STEPS
        assert found.factor_predicted == pytest.approx(plain.factor_predicted, rel=1e-6)


def test_the_length_of_the_sequences_counts_where_the_signal_grows():
    """A ReLU net at twice the critical size has no fixed point: the first steps differ from later ones."""
    torch.manual_seed(0)
    layer = nn.RNN(FEATURES, 64, nonlinearity="relu", batch_first=True)
    nn.init.normal_(layer.weight_hh_l0, std=2 / 8)
    factors = []
    for steps in (4, 40):
        x, y = torch.randn(16, steps, FEATURES), torch.randn(16, 1)
        (found,) = preflight(Last(layer), (x, y), F.mse_loss).through_time
        factors.append(found.factor_predicted)
        assert found.factor_measured == pytest.approx(found.factor_predicted, rel=0.1)
    assert factors[0] != pytest.approx(factors[1], rel=0.01)
    x, y = torch.randn(16, 1, FEATURES), torch.randn(16, 1)
    (single,) = preflight(Last(layer), (x, y), F.mse_loss).through_time  # one step has no factor
    assert single.factor_measured is single.factor_predicted is single.memory is None


@pytest.mark.parametrize("size", [1e-30, 1e30, math.inf, math.nan])
def test_weights_beyond_all_bounds(size):
    layer = nn.RNN(FEATURES, 16, nonlinearity="relu", batch_first=True)
    layer.weight_hh_l0.data.mul_(size)
    found = reading(layer)
    assert found.factor_predicted is None or math.isfinite(found.factor_predicted)
    assert found.factor_measured is None or math.isfinite(found.factor_measured)


def test_content_state_and_notebook():
    found = preflight(Recurrent((STEPS, FEATURES), 1, cell="rnn", width=32), batch(), F.mse_loss)
    (read,) = json.loads(json.dumps(content(found)))["through_time"]
    assert set(read) == {"layer", "norms", "factor_measured", "factor_predicted", "factor_scatter"}
    assert read["norms"] == found.through_time[0].norms
    state = json.loads(json.dumps(asdict(found)))
    again = Preflight.of(state)
    assert again.through_time == found.through_time
    del state["through_time"]
    assert Preflight.of(state).through_time == []  # of an earlier version
    html = found._repr_html_()
    assert "through time, layers.0" in html
    assert "by time step, measured and predicted" in html


def test_the_table_says_how_far_the_gradient_reaches():
    name = "module." * 20 + "rnn"
    norms = [0.5**step for step in range(50)][::-1]
    net = preflight(Recurrent((STEPS, FEATURES), 1, cell="gru", width=8), batch(), F.mse_loss)
    readings = [
        TimeReading(name, norms, 0.5, 0.51, 0.02),
        TimeReading("grows", norms[::-1], 1.2, None, None),
        TimeReading("gone", [0.0] * 50, None, None, None),
    ]
    lines = table(Preflight(net.layers, None, 1.0, None, None, net.profile, through_time=readings)).splitlines()
    first, grows, gone = (
        next(i for i, line in enumerate(lines) if word in line) for word in ("module", "grows", "gone")
    )
    assert lines[first].startswith("through time, …")
    assert "the first 10 of 50 steps receive" in lines[first]
    assert lines[first + 1] == "  factor per time step 0.500, predicted 0.510 ±2 %; a hundredth is left after 7 steps"
    assert lines[grows + 1] == "  factor per time step 1.20, not predicted"
    assert lines[gone + 1] == "  factor per time step -, not predicted"
    assert max(map(len, lines)) <= 120


def test_the_picture_has_both_lines():
    norms = [0.5**step for step in range(9)][::-1]
    figure = preflight_through_time([TimeReading("rnn", norms, 0.5, 0.25)])
    (axes,) = figure.axes  # one step of training has no heat map
    measured_line, theory = axes.lines
    assert measured_line.get_ydata().tolist() == norms
    assert theory.get_ydata().tolist() == pytest.approx([0.25**step for step in range(9)][::-1])
    assert axes.get_yscale() == "log"
    without = preflight_through_time([TimeReading("rnn", norms, 0.5)])
    assert len(without.axes[0].lines) == 1
    with pytest.raises(ValueError, match="expected a measured recurrent layer"):
        preflight_through_time([])


class Model(LightningModule):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def training_step(self, batch, batch_idx):
        return F.mse_loss(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_a_fit_fills_it_in():
    torch.manual_seed(0)
    net = Recurrent((STEPS, FEATURES), 1, cell="rnn", width=32)
    (alone,) = preflight(net, batch(), F.mse_loss).through_time
    monitor = GradientVitals(every_n_steps=1)
    bare_trainer(monitor, max_epochs=2).fit(Model(net), DataLoader([batch()], batch_size=None))
    (found,) = monitor.preflight.through_time
    assert found.layer == "net.layers.0"
    assert found.norms == pytest.approx(alone.norms, rel=1e-5)
    assert found.factor_measured == pytest.approx(alone.factor_measured, rel=1e-5)
    assert found.factor_predicted == pytest.approx(alone.factor_predicted, rel=1e-9)
    assert found.factor_scatter == pytest.approx(alone.factor_scatter, rel=1e-9)
    (label,) = monitor.through_time.labels
    assert monitor.time_factors == {label: found.factor_predicted}
    assert len(monitor.through_time.of(label)) == 2


def test_a_prediction_reaches_its_layer_alone():
    norms = {"a": [0.25, 0.5, 1.0, 2.0], "b": [1.0, 1.0, 1.0, 1.0]}
    a, b = time_readings(norms, {"b": TimePrediction(0.9, 0.01)})
    assert (a.factor_predicted, a.factor_scatter) == (None, None)
    assert (b.factor_measured, b.factor_predicted, b.factor_scatter) == (1.0, 0.9, 0.01)
