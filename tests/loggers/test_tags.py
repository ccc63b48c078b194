"""Tags, and the blocks of deep networks."""

import pytest
from torch import nn

from gradvitals import GradientVitals
from gradvitals.loggers.tags import by_block
from gradvitals.vitals import Layer
from tests.loggers.gathers import Gathers
from tests.monitor.small_fit import Model, fit


def test_blocks_by_hand():
    layers = [Layer(str(i), i, f"0{i}.{i}", "Linear", 1) for i in range(5)]
    norms, ratios = {f"0{i}.{i}": 1.0 for i in range(5)}, {f"0{i}.{i}": float(i) for i in range(5)}
    assert by_block({"grad_norm": norms, "update_ratio": ratios}, layers, 2) == {
        "grad_norm": {"00-02.0": pytest.approx(3**0.5), "03-04.3": pytest.approx(2**0.5)},
        "update_ratio": {"00-02.0": 1.0, "03-04.3": 3.5},
    }


def test_deep_nets_are_logged_in_blocks_and_kept_by_layer():
    own = Gathers()
    model = Model(*[nn.Linear(4, 4) for _ in range(9)])
    monitor = fit(model, GradientVitals(max_layers=3), logger=own, max_epochs=1)
    logged = {tag for tag in own.got[0][1] if tag.startswith("grad_norm/0")}
    assert logged == {"grad_norm/00-02.net.0", "grad_norm/03-05.net.3", "grad_norm/06-08.net.6"}
    assert "grad_norm/04.net.4" in monitor.start
