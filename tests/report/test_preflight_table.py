"""The pre-flight's table."""

import math
from dataclasses import fields, replace
from pathlib import Path

from gradvitals.diagnosis.profile import profile
from gradvitals.report.tables.preflight import table
from gradvitals.signal_propagation.reading import LayerReading, Preflight, content


def a_layer(**numbers):
    names = [field.name for field in fields(LayerReading)]
    return LayerReading(**{**dict.fromkeys(names), "name": "fc", "index": 0, "kind": "Linear", **numbers})


def test_the_preflights_table():
    measured = {"activation_mean": 0.5, "activation_std": 0.124, "dead_fraction": 0.0, "saturated_fraction": 0.5}
    gains = {"activation_grad_norm": 3.661e-20, "gain_measured": 0.2, "gain_predicted": 0.2344, "gain_scatter": 0.0465}
    steps = {"grad_norm_corrected": 12345.0, "update_ratio": 0.001}
    first = a_layer(name="a." * 20 + "linear", **measured, **gains, **steps)
    last = a_layer(index=12, name="head", activation_grad_norm=1.83e-19)
    found = Preflight([first, last], 2.8e-20, 2.35, math.log(10), 2.07, profile([3.66e-20, 1.83e-19]))
    titles, one, two, loss, surprise, verdict, file = table(found, Path("run")).splitlines()
    assert titles.split()[:4] == ["layer", "mean", "std", "dead"]
    assert (
        one == " 0  …a.a.a.a.a.a.a.a.linear  0.50  0.12   0 %    50 %  3.66e-20  0.200  0.234  ±5 %   1.23e+04  0.00100"
    )
    assert two.split() == ["12", "head", "-", "-", "-", "-", "1.83e-19", "-", "-", "-", "-"]
    assert {len(line) for line in (titles, one, two)} == {len(one)}
    assert loss == "loss 2.35, expected 2.303 (log 10); gradient at the input 2.800e-20"
    assert surprise == "layer 0 is 3 scatters off: gain 0.200, predicted 0.234"
    assert verdict.endswith(": 0.2 per layer; trainable to about 2 layers, this net has 1")
    assert file == "written to run/preflight.json"


def test_the_preflights_table_where_little_is_known():
    found = Preflight([a_layer()], None, 0.25, None, None, profile([None]))
    _, row, loss, verdict, _ = table(found, Path("run")).splitlines()
    assert row.split() == ["0", "fc", *"-" * 9]
    assert (loss, verdict) == ("loss 0.25", "unknown: fewer than two layers received a gradient")
    assert "(log" not in table(replace(found, loss_expected=0.25), Path("run"))
    assert content(found)["loss_expected"] is None


def test_a_table_as_wide_as_it_gets():
    numbers = {f.name: 1.2345678e-10 for f in fields(LayerReading) if f.name not in ("name", "index", "kind")}
    numbers |= {"activation_mean": -1e-10, "gain_scatter": 0.9, "dead_fraction": 1.0, "saturated_fraction": 1.0}
    layer = a_layer(**{**numbers, "name": "module." * 20, "index": 100})
    lines = table(Preflight([layer], 1e-10, 1.0, 1.0, None, profile([None])), Path("run")).splitlines()
    assert max(map(len, lines)) <= 120
