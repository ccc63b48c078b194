"""The factor per time step: limits by hand, then measured networks with the scatter of their width."""

import math
import statistics

import pytest
import torch
from torch import nn

from gradvitals.nets.recurrent import Recurrent
from gradvitals.signal_propagation.preflight import preflight
from gradvitals.theory import Gate, gru_factor, lstm_factor, memory_length, rnn_factor

STILL = Gate(0.0, 0.0)  # no recurrent weights and no input: the gate is 1/2


def test_plain_cells_by_hand():
    assert rnn_factor(lambda z: z, Gate(0.81, 5.0)) == pytest.approx(0.9)  # linear: the weights' scale alone
    assert rnn_factor("relu", Gate(1.0, 0.3)) == pytest.approx(math.sqrt(0.5))  # half of the slopes are 1
    assert rnn_factor("tanh", Gate(0.49, 0.0)) == pytest.approx(0.7)  # no signal: the slope is 1
    assert rnn_factor("tanh", Gate(1.0, 0.5)) < rnn_factor("tanh", Gate(1.0, 0.1)) < 1  # inputs saturate it


def test_gated_cells_without_recurrent_weights():
    open_gate = Gate(0.0, 0.0, mean=math.log(3))  # sigmoid(log 3) = 3/4
    assert lstm_factor(STILL, open_gate, STILL, STILL) == pytest.approx(0.75)
    assert gru_factor(STILL, open_gate, STILL) == pytest.approx(0.75)


def test_gated_cells_with_one_matrix_and_still_gates():
    # Past the matrix 1/2, through it sigma_w times the means of the gates: 1/2 * 1/2 in both cells, coherently added.
    candidate = Gate(0.16, 1e-12)
    assert lstm_factor(STILL, STILL, candidate, STILL) == pytest.approx(0.5 + 0.4 * 0.25, rel=1e-3)
    assert gru_factor(STILL, STILL, candidate) == pytest.approx(0.5 + 0.4 * 0.25, rel=1e-3)


def test_memory_length():
    assert memory_length(0.1) == pytest.approx(2.0)
    assert memory_length(1.01) == math.inf
    assert memory_length(0.0) == 0.0


def measured_and_predicted(cell: str, init: str, gain: float, seed: int, act: str = "tanh") -> tuple[float, float]:
    torch.manual_seed(seed)
    options = {"cell": cell, "width": 128, "act": act, "recurrent_init": init, "recurrent_gain": gain}
    net, batch = Recurrent((50, 64), 1, **options), (torch.randn(64, 50, 64), torch.randn(64, 1))
    (found,) = preflight(net, batch, nn.functional.mse_loss).through_time
    return found.factor_measured, found.factor_predicted


@pytest.mark.parametrize(
    ("cell", "init", "act", "most"),
    [
        ("rnn", "orthogonal", "tanh", 0.01),
        ("rnn", "gaussian", "tanh", 0.05),
        ("rnn", "default", "tanh", 0.05),
        ("rnn", "orthogonal", "relu", 0.02),  # to reach: 1 %
        ("rnn", "gaussian", "relu", 0.08),  # to reach: 5 %
        ("lstm", "default", "tanh", 0.03),
        ("lstm", "orthogonal", "tanh", 0.02),
        ("lstm", "gaussian", "tanh", 0.03),
        ("gru", "default", "tanh", 0.04),
        ("gru", "orthogonal", "tanh", 0.03),
        ("gru", "gaussian", "tanh", 0.03),
    ],
)
def test_networks_of_128_units_over_50_steps(cell, init, act, most):
    errors = [
        measured / predicted - 1
        for gain in (0.8, 1.0, 1.2, 1.5)
        for measured, predicted in (measured_and_predicted(cell, init, gain, seed, act) for seed in range(3))
    ]
    assert max(map(abs, errors)) < most
    assert abs(statistics.fmean(errors)) < most / 2 + 0.005  # the theory's own error, without the scatter of a draw


@pytest.mark.parametrize(("cell", "reaches"), [("rnn", 3e-15), ("gru", 1e-10), ("lstm", 3e-11)])
def test_what_torchs_default_lets_through(cell, reaches):
    """The first figure of the tutorial: 64 inputs, 128 units, 50 steps of noise."""
    torch.manual_seed(0)
    net, batch = Recurrent((50, 64), 1, cell=cell), (torch.randn(64, 50, 64), torch.randn(64, 1))
    (found,) = preflight(net, batch, nn.functional.mse_loss).through_time
    assert abs(math.log10(found.norms[0] / found.norms[-1] / reaches)) < 1
