"""The monitor as people see it: text, HTML, pictures and a table."""

from __future__ import annotations

import math
import random
import re

import matplotlib.pyplot as plt
import polars
import pytest
from matplotlib.figure import Figure
from torch import nn

from gradvitals import GradientVitals, displayed_monitor
from gradvitals.report.pictures.canvas import png
from gradvitals.report.pictures.picture_kinds import KINDS
from gradvitals.report.tables import frame
from gradvitals.vitals import Layer
from tests.monitor.small_fit import Model, fit

HOSTILE = "<script>alert('$x_{')</script>" * 8  # a name of a module may be anything without a dot


class Recurrent(nn.Module):
    """Reads four features as four steps."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.GRU(1, 3, batch_first=True)

    def forward(self, x):
        return self.layer(x.unsqueeze(-1))[0][:, -1]


def named(name: str) -> Model:
    net = nn.Sequential()
    net.add_module(name, nn.Linear(4, 6))
    net.add_module("act", nn.Tanh())
    net.add_module("head", nn.Linear(6, 3))
    return Model(net)


@pytest.fixture(scope="module")
def monitor() -> GradientVitals:
    return fit(Model(), GradientVitals(every_n_steps=1), gradient_clip_val=0.1)


def deep(num_layers: int, steps: int = 256) -> GradientVitals:
    """A monitor that measured a deep network with long names, whose gradients are all over the picture."""
    found, draw = GradientVitals(), random.Random(0)
    names = [f"encoder.{'block.' * 20}{i}" for i in range(num_layers)]
    found.layers = [Layer(name, i, f"{i:03d}.{name}", "Linear", 4) for i, name in enumerate(names)]
    for step in range(steps):
        gradients = {layer.label: 10 ** draw.uniform(-4, 4) for layer in found.layers}
        by_layer = {"grad_norm": gradients, "activation_grad_norm": gradients, "update_ratio": gradients}
        found.history.add(step, by_layer, {"grad_norm/total": 1.0})
    found.latest.add(by_layer, {"grad_norm/total": 1.0})
    found.first.add(by_layer, {"grad_norm/total": 1.0})
    found._latest_step = steps - 1
    return found


def test_before_the_first_step_it_says_so():
    text = str(GradientVitals())
    assert text.splitlines() == [
        "verdict   undecided: no step was measured",
        "measured  nothing was measured yet: the first training step is measured",
    ]
    assert "nothing was measured yet" in GradientVitals()._repr_html_()
    assert "<img" not in GradientVitals()._repr_html_()
    assert list(GradientVitals().to_frame().columns) == ["step", "layer", "quantity", "value"]
    for kind in KINDS:
        with pytest.raises(ValueError, match="plot: nothing was measured yet"):
            GradientVitals().plot(kind)


def test_text_fits_in_a_terminal_and_ends_with_the_layers(monitor):
    lines = str(monitor).splitlines()
    assert lines[0].startswith("verdict   undecided: ")
    assert "clipping changed 100% of the measured steps" in " ".join(str(monitor).split())
    assert lines[-3].split() == ["layer", "dL/dW", "dL/dh", "std", "step/W"]  # dead units show after more samples
    assert [line.split()[:2] for line in lines[-2:]] == [["0", "net.0"], ["1", "net.2"]]
    assert max(map(len, [*lines, *str(deep(300, 2)).splitlines()])) <= 80


def test_the_table_is_tidy_and_complete(monitor):
    table = monitor.to_frame()
    layers = table[(table.quantity == "activation_grad_norm") & (table.layer == "00.net.0")]
    assert dict(zip(layers.step, layers.value, strict=True)) == {
        s: v["00.net.0"] for s, v in monitor.history.values.items()
    }
    latest = table[table.step == table.step[table.quantity == "grad_norm/total"].max()]
    assert latest.layer[latest.quantity == "grad_norm/total"].isna().all()
    totals = latest[latest.layer.isna()].set_index("quantity").value
    of_layers = latest[~latest.layer.isna()]
    tags = {f"{row.quantity}/{row.layer}": row.value for row in of_layers.itertuples()}
    assert {tag: value for tag, value in monitor.end.items() if "/0" in tag} == tags
    assert {tag: value for tag, value in monitor.end.items() if "/0" not in tag} == totals.drop("loss").to_dict()
    losses = table[table.quantity == "loss"]
    assert dict(zip(losses.step, losses.value, strict=True)) == monitor.losses


def test_the_library_of_the_table_is_chosen_or_named(monitor, monkeypatch):
    assert monitor.to_frame("polars").rows() == [
        (row.step, row.layer if isinstance(row.layer, str) else None, row.quantity, row.value)
        for row in monitor.to_frame("pandas").itertuples()
    ]
    with pytest.raises(ValueError, match="to_frame: expected 'pandas' or 'polars'; got 'arrow'"):
        monitor.to_frame("arrow")
    monkeypatch.setattr(frame, "find_spec", lambda name: None if name == "pandas" else True)
    assert isinstance(monitor.to_frame(), polars.DataFrame)
    with pytest.raises(ImportError, match="to_frame needs pandas, which is not installed: pip install pandas$"):
        monitor.to_frame("pandas")
    monkeypatch.setattr(frame, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="needs pandas or polars, which is not installed: pip install pandas$"):
        monitor.to_frame()


def test_html_escapes_what_users_named():
    monitor = fit(named(HOSTILE), GradientVitals(every_n_steps=1))
    html = monitor._repr_html_()
    assert "<script" not in html
    assert "&lt;/script&gt;" in html
    for kind in KINDS.keys() - {"time"}:
        assert png(monitor.plot(kind), 50)  # no formula is read into a name
    recurrent = Recurrent()
    recurrent.add_module(HOSTILE, recurrent.layer)
    del recurrent.layer
    recurrent.forward = lambda x: getattr(recurrent, HOSTILE)(x.unsqueeze(-1))[0][:, -1]
    assert png(fit(Model(recurrent), GradientVitals(every_n_steps=1)).plot("time"), 50)
    assert "<script>" in str(monitor)


@pytest.mark.parametrize(("num_layers", "steps"), [(300, 256), (20, 256), (300, 1)])
def test_html_is_small_static_and_complete(num_layers, steps):
    html = deep(num_layers, steps)._repr_html_()
    assert 10_000 < len(html) < 200_000
    assert not re.search(r"<script|<style|<link|https?:|url\(|\bon\w+=", html)
    assert html.count("<img") == 1


def test_without_matplotlib_the_rest_is_there(monitor, monkeypatch):
    monkeypatch.setattr(displayed_monitor, "find_spec", lambda name: None)
    expected = 'pictures need matplotlib, which is not installed: pip install "gradvitals[report]"'
    with pytest.raises(ImportError, match=re.escape(expected)):
        monitor.plot()
    html = monitor._repr_html_()
    assert "<img" not in html
    assert "gradvitals[report]" in html
    assert "net.2" in html


def test_another_kind_is_refused(monitor):
    with pytest.raises(
        ValueError, match="expected one of gradients, heatmap, time, updates, clipping, activations; got 'loss'"
    ):
        monitor.plot("loss")


@pytest.fixture(scope="module")
def recurrent() -> GradientVitals:
    return fit(Model(Recurrent()), GradientVitals(every_n_steps=1), gradient_clip_val=0.1)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_a_figure_of_its_own_or_in_given_axes(monitor, recurrent, kind):
    monitor = recurrent if kind == "time" else monitor
    before = plt.get_fignums()
    drawn, given = monitor.plot(kind), Figure(layout="constrained")
    left, right = given.subplots(1, 2)
    assert isinstance(drawn, Figure)
    assert monitor.plot(kind, ax=left) is given
    assert left.has_data()
    assert not right.has_data()
    assert left.get_xlabel()
    assert left.get_ylabel()
    assert drawn._repr_png_()[:4] == b"\x89PNG"
    assert plt.get_fignums() == before


def test_clipping_shows_both_norms_and_their_ratio(monitor):
    axes, right = monitor.plot("clipping").axes
    before, after = ([*line.get_ydata()] for line in axes.lines)
    assert before == list(monitor.history.total("grad_norm/total").values())
    assert after == list(monitor.history.total("grad_norm_clipped/total").values())
    coefficients = [*right.lines[0].get_ydata()]
    assert coefficients == pytest.approx(list(monitor.history.total("clip/coefficient").values()))


def test_where_nothing_clips_the_norm_is_shown_alone():
    monitor = fit(Model(), GradientVitals(every_n_steps=1))
    (axes,) = monitor.plot("clipping").axes
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["not clipped in this fit"]
    assert len(axes.lines) == 1


def test_several_optimizers_have_a_line_each():
    monitor = GradientVitals()
    monitor.layers = [Layer("net", 0, "00.net", "Linear", 4)]
    for step in (0, 1):
        totals = {f"{name}/total.{i}": 1.0 + i for name in ("grad_norm", "grad_norm_clipped") for i in (0, 1)}
        monitor.history.add(step, {}, totals)
    monitor.first.add({}, totals)
    labels = [text.get_text() for text in monitor.plot("clipping").axes[0].get_legend().get_texts()]
    assert labels == [f"{when} clipping, optimizer {i}" for i in (0, 1) for when in ("before", "after")]


def test_what_was_switched_off_is_named():
    monitor = fit(Model(), GradientVitals(every_n_steps=1, activations=False, updates=False))
    for kind, switch in (("gradients", "activations"), ("activations", "activations"), ("updates", "updates")):
        with pytest.raises(ValueError, match=rf"was not measured: no layer has one, or {switch}=False"):
            monitor.plot(kind)
    assert "<img" not in monitor._repr_html_()


def test_time_shows_the_latest_step_of_each_line_and_what_is_missing_is_named(monitor, recurrent):
    lines, colors, *_ = recurrent.plot("time").axes
    ((label, profiles),) = [(label, recurrent.through_time.of(label)) for label in recurrent.through_time.labels]
    assert label == "00.net.0.layer"
    assert [*lines.lines[0].get_ydata()] == list(profiles[0].norms)
    assert colors.images[0].get_array().shape == (4, len(profiles))
    with pytest.raises(ValueError, match="there is no nn.RNN, nn.LSTM or nn.GRU, or activations=False"):
        monitor.plot("time")


def test_the_updates_of_each_layer_are_drawn(monitor):
    axes = monitor.plot("updates").axes[0]
    ratios = monitor.by_layer("update_ratio")
    for layer, line in enumerate(axes.lines[:2]):
        assert [*line.get_ydata()] == [ratios[step][layer] for step in sorted(ratios)]


def test_activations_are_those_of_the_latest_step_that_measured_each():
    monitor = deep(3, 1)
    labels = [layer.label for layer in monitor.layers]
    monitor.history.add(
        5, {"activation_std": {labels[0]: 0.5, labels[1]: math.nan}, "dead_fraction": {labels[0]: 0.25}}, {}
    )
    monitor.history.add(6, {"activation_std": {labels[1]: 0.75}}, {})
    axes, right = monitor.plot("activations").axes
    assert [*axes.lines[0].get_ydata()][:2] == [0.5, 0.75]
    assert math.isnan(axes.lines[0].get_ydata()[2])
    assert [bar.get_height() for bar in right.patches] == [0.25, 0.0, 0.0]
