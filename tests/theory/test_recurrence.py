"""The factor per time step: limits by hand, then measured networks with the scatter of their width."""

import math
import statistics
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from gradvitals.nets.recurrent import Recurrent
from gradvitals.signal_propagation.preflight import preflight
from gradvitals.theory import (
    Gate,
    edge_of_chaos,
    gru_factor,
    lstm_factor,
    memory_length,
    rnn_factor,
    shared_matrix_factor,
)

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


def test_the_edge_of_chaos():
    assert rnn_factor("tanh", Gate(2.0, 0.0)) == pytest.approx(math.sqrt(1.1055), abs=1e-4)  # q = 0.6180
    for q in (0.1, 1.0, 4.0):  # where theory of layers says that gradients keep their size, time steps keep it, too
        assert rnn_factor("tanh", Gate(*edge_of_chaos("tanh", q))) == pytest.approx(1.0, abs=1e-6)


def test_memory_length():
    assert memory_length(0.1) == pytest.approx(2.0)
    assert memory_length(math.exp(-0.1), share=1 / math.e) == pytest.approx(10.0)
    assert memory_length(1.01) == math.inf
    assert memory_length(0.0) == 0.0


def orthogonal(units: int, seed: int = 0) -> torch.Tensor:
    torch.manual_seed(seed)
    return nn.init.orthogonal_(torch.empty(units, units, dtype=torch.float64))


def test_one_matrix_by_hand():
    still, none = torch.zeros(6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
    assert shared_matrix_factor("tanh", 0.7 * orthogonal(6), still, none) == pytest.approx(0.7)  # the slope is 1
    # Without fluctuations a unit is active always or never; of a permutation's three units one is not, and ends all ways.
    always, never = torch.ones(3, dtype=torch.float64), torch.tensor([1.0, 1.0, -9.0], dtype=torch.float64)
    ring = 0.5 * torch.eye(3, dtype=torch.float64)[[1, 2, 0]]
    assert shared_matrix_factor("relu", ring, always, 0 * always) == pytest.approx(0.5)
    with pytest.raises(ArithmeticError):
        shared_matrix_factor("relu", ring, never, 0 * never)
    # Alone among equals, independent of the others: half of the slopes are 1, at random.
    assert shared_matrix_factor("relu", 1e-3 * orthogonal(6), still, 1 + none) == pytest.approx(
        1e-3 * math.sqrt(0.5), rel=1e-3
    )


@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_one_matrix_of_many_units_is_like_many_matrices(act):
    drive, size = torch.full((512,), 0.4, dtype=torch.float64), 0.9
    found = shared_matrix_factor(act, size * orthogonal(512), 0 * drive, drive, steps=24)
    assert found == pytest.approx(rnn_factor(act, Gate(size**2, 0.4)), rel=0.02)


def test_overflow_is_no_number():
    with pytest.raises(ArithmeticError):
        shared_matrix_factor(
            "relu", torch.full((2, 2), 1e200, dtype=torch.float64), torch.ones(2).double(), torch.ones(2).double()
        )
    with pytest.raises(ZeroDivisionError):  # one step has no factor
        shared_matrix_factor("relu", torch.eye(2).double(), torch.ones(2).double(), torch.ones(2).double(), steps=1)


def drawn(
    cell: str, init: str, gain: float, seed: int, act: str
) -> tuple[Recurrent, tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(seed)
    options = {"cell": cell, "width": 128, "act": act, "recurrent_init": init, "recurrent_gain": gain}
    return Recurrent((50, 64), 1, **options), (torch.randn(64, 50, 64), torch.randn(64, 1))


def measured_and_predicted(cell: str, init: str, gain: float, seed: int, act: str = "tanh") -> tuple[float, float]:
    net, batch = drawn(cell, init, gain, seed, act)
    (found,) = preflight(net, batch, nn.functional.mse_loss).through_time
    return found.factor_measured, found.factor_predicted


def root_mean_square(errors: Sequence[float]) -> float:
    return math.sqrt(statistics.fmean(error**2 for error in errors))


def compared(cell: str, init: str, act: str, scales: Sequence[float]) -> list[float]:
    """Measured over predicted, minus 1: three draws at each scale."""
    pairs = [measured_and_predicted(cell, init, scale, seed, act) for scale in scales for seed in range(3)]
    return [measured / predicted - 1 for measured, predicted in pairs]


@pytest.mark.parametrize(
    ("cell", "init", "act", "most", "typical"),
    [
        ("rnn", "orthogonal", "tanh", 0.01, 0.005),
        ("rnn", "gaussian", "tanh", 0.02, 0.01),
        ("rnn", "default", "tanh", 0.02, 0.01),
        ("lstm", "default", "tanh", 0.03, 0.01),
        ("lstm", "orthogonal", "tanh", 0.02, 0.01),
        ("lstm", "gaussian", "tanh", 0.03, 0.01),
        ("gru", "default", "tanh", 0.04, 0.02),
        ("gru", "orthogonal", "tanh", 0.03, 0.01),
        ("gru", "gaussian", "tanh", 0.03, 0.01),
    ],
)
def test_networks_of_128_units_over_50_steps(cell, init, act, most, typical):
    errors = compared(cell, init, act, (0.8, 1.0, 1.2, 1.5))
    assert max(map(abs, errors)) < most
    assert root_mean_square(errors) < typical


@pytest.mark.parametrize("init", ["orthogonal", "gaussian"])
def test_relu(init):
    """Beyond a scale of 1.41 the signal grows by itself, and samples go ways of their own, which no unit's mean tells."""
    errors = compared("rnn", init, "relu", (0.8, 1.0, 1.2))
    assert max(map(abs, errors)) < 0.015
    assert root_mean_square(errors) < 0.01
    assert max(map(abs, compared("rnn", init, "relu", (1.5,)))) < {"orthogonal": 0.02, "gaussian": 0.08}[init]


def test_what_one_matrix_changes():
    """Without it, theory of wide nets is off by 2 % and more where ReLU's matrix is orthogonal, in each draw."""
    for seed in range(3):
        net, batch = drawn("rnn", "orthogonal", 1.2, seed, "relu")
        (found,) = preflight(net, batch, nn.functional.mse_loss).through_time
        layer, x = net.layers[0], batch[0]
        drive = (x @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0).var().item()
        wide = rnn_factor("relu", Gate(1.2**2, drive))
        assert wide == pytest.approx(1.2 * math.sqrt(0.5))
        off, left = (abs(found.factor_measured / theory - 1) for theory in (wide, found.factor_predicted))
        assert left < 0.01 < 0.015 < off


@pytest.mark.slow
@pytest.mark.parametrize(("act", "init"), [("tanh", "orthogonal"), ("tanh", "gaussian"), ("relu", "orthogonal")])
def test_the_scatter_of_one_sample(act, init):
    """Twenty draws: the standard deviation itself is known to 16 %, and shared matrices scatter up to 1.6 times more."""
    logs = []
    for seed in range(20):
        net, (x, y) = drawn("rnn", init, 1.2, 100 + seed, act)
        (all_samples,) = preflight(net, (x, y), nn.functional.mse_loss).through_time
        (one,) = preflight(net, (x[:1], y[:1]), nn.functional.mse_loss).through_time
        logs.append(math.log(one.factor_measured / all_samples.factor_predicted))
    assert 0.5 < statistics.pstdev(logs) / all_samples.factor_scatter < 2


@pytest.mark.parametrize(("cell", "reaches"), [("rnn", 3e-15), ("gru", 1e-10), ("lstm", 3e-11)])
def test_what_torchs_default_lets_through(cell, reaches):
    """The first figure of the tutorial: 64 inputs, 128 units, 50 steps of noise, each of three draws within a decade."""
    for seed in range(3):
        torch.manual_seed(seed)
        net, batch = Recurrent((50, 64), 1, cell=cell), (torch.randn(64, 50, 64), torch.randn(64, 1))
        (found,) = preflight(net, batch, nn.functional.mse_loss).through_time
        assert abs(math.log10(found.norms[0] / found.norms[-1] / reaches)) < 1
