"""Practical nets as torch initialises them, beside the reference: a handful here, all of them in the slow tests."""

import pytest

from gradvitals.diagnosis.profile import profile
from tests.theory.practical import measured
from tests.theory.reference import REFERENCE, ids

FEW = ("relu.kaiming_normal", "gelu.lecun_normal", "sigmoid.default", "elu.orthogonal_sqrt2", "tanh.xavier_uniform")
ROWS = [
    pytest.param(name, marks=() if name.removeprefix("practical.") in FEW else pytest.mark.slow)
    for name in ids("practical.")
]


@pytest.mark.parametrize("name", ROWS)
def test_measured(name):
    entry = REFERENCE[name]
    value, tolerance, setting = entry["value"], entry["tolerance"], entry["setting"]
    found = measured(setting["act"], setting["init"], range(setting["seeds"]))
    assert found["delta"] == pytest.approx(value["delta"], rel=tolerance["delta_rel"])
    assert found["w"] == pytest.approx(value["w"], rel=tolerance["w_rel"])
    for key in ("delta", "w"):
        bound = tolerance[f"log10_{key}_abs"]
        assert found[f"log10_{key}"] == pytest.approx(value[f"log10_{key}_first_last"], abs=bound)

    label = REFERENCE["verdict.labels"]["value"].get(f"{setting['act']}/{setting['init']}")
    words = {"vanishing": "vanishing", "exploding": "exploding", "stable": "healthy"}
    if label in words:
        assert profile([found["delta"] ** (20 - layer) for layer in range(1, 21)]).label == words[label]
