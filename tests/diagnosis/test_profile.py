import math

import pytest

from gradvitals.diagnosis.profile import profile


@pytest.mark.parametrize(
    ("norms", "label"),
    [
        ([0.99e-2, 0.1, 1.0], "vanishing"),
        ([1.01e-2, 0.1, 1.0], "healthy"),
        ([99.0, 10.0, 1.0], "healthy"),
        ([101.0, 10.0, 1.0], "exploding"),
        ([1.0, math.inf, 1.0], "non_finite"),
        ([math.nan, 1.0], "non_finite"),
        ([1.0], "unknown"),
        ([], "unknown"),
        ([0.0, 0.0], "unknown"),
    ],
)
def test_two_decades_make_a_name(norms, label):
    assert profile(norms).label == label


def test_layers_without_a_gradient_are_passed_over():
    # A frozen layer at the input, a ReZero branch at the start, and a layer that was never used.
    found = profile([None, 8.0, 0.0, 2.0, 1.0, None])
    assert (found.first, found.last, found.ratio) == (1, 4, 8.0)
    assert found.gain == pytest.approx(2.0)  # 8 over three steps


def test_a_dead_layer_cuts_off_what_lies_before_it():
    found = profile([0.0, 0.0, 0.0, 0.4, 1.0])
    assert (found.label, found.ratio, found.gain) == ("vanishing", 0.0, 0.0)
    assert found.evidence == "layers 0 to 2 receive nothing of layer 4's gradient"


def test_branches_that_start_closed_are_no_sickness():
    assert profile([0.0, 0.0, 0.0, 1.0]).label == "unknown"  # only the head learns at a ReZero net's first step


def test_evidence_is_a_sentence():
    assert profile([3.0, 2.0]).evidence == "layer 0 receives 1.5 times layer 1's gradient: 1.5 per layer"
    assert profile([1234.0, 1.0]).evidence == "layer 0 receives 1,200 times layer 1's gradient: 1.23e+03 per layer"
    assert profile([1e-9, 1.0]).evidence == "layer 0 receives 1e-09 of layer 1's gradient: 1e-09 per layer"
    assert profile([1.0, 2.0, math.inf]).evidence == "the gradient of layer 2 is not a finite number"
    assert profile([1.0]).evidence == "fewer than two layers received a gradient"
