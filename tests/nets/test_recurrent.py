"""The recurrent network against loops written by hand, and sequences of different lengths against each one alone."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

from gradvitals.nets.recurrent import Recurrent
from gradvitals.nets.recurrent_init import RECURRENT_INITIALIZERS, initialize_recurrent


def test_a_plain_cell_by_hand():
    net = Recurrent((3, 1), 1, cell="rnn", width=1, act="relu")
    layer = net.layers[0]
    with torch.no_grad():
        layer.weight_ih_l0.fill_(2.0), layer.weight_hh_l0.fill_(0.5)
        layer.bias_ih_l0.fill_(1.0), layer.bias_hh_l0.zero_()
        net.head.weight.fill_(10.0), net.head.bias.fill_(1.0)
    # h = 2 * 1 + 1 = 3; 2 * 0 + 1 + 0.5 * 3 = 2.5; 2 * (-1) + 1 + 0.5 * 2.5 = 0.25
    assert net(torch.tensor([[[1.0], [0.0], [-1.0]]])).item() == pytest.approx(3.5)


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
@pytest.mark.parametrize("options", [{}, {"readout": "mean"}, {"bidirectional": True}, {"depth": 2, "norm": "layer"}])
def test_padding_changes_no_number(cell, options):
    torch.manual_seed(0)
    net = Recurrent((6, 3), 2, cell=cell, width=5, **options).double()
    sequences = [torch.randn(steps, 3, dtype=torch.float64) for steps in (4, 6, 1)]
    together = net(pack_sequence(sequences, enforce_sorted=False))
    alone = torch.cat([net(sequence.unsqueeze(0)) for sequence in sequences])
    torch.testing.assert_close(together, alone, rtol=1e-12, atol=1e-12)
    (gradient,) = torch.autograd.grad(together.square().sum(), net.layers[0].weight_hh_l0)
    (one_by_one,) = torch.autograd.grad(alone.square().sum(), net.layers[0].weight_hh_l0)
    torch.testing.assert_close(gradient, one_by_one, rtol=1e-10, atol=1e-12)


def test_both_directions_are_read_at_their_own_end():
    net = Recurrent((4, 2), 1, cell="gru", width=3, bidirectional=True)
    x = torch.randn(2, 4, 2)
    outputs, ends = net.layers[0](x)  # ends: (directions, batch, width)
    torch.testing.assert_close(net(x), net.head(torch.cat([ends[0], ends[1]], dim=1)))
    assert outputs.shape == (2, 4, 6)


def test_a_target_for_each_step():
    net = Recurrent((4, 2), 3, each_step=True)
    assert net(torch.zeros(5, 4, 2)).shape == (5, 4, 3)
    with pytest.raises(ValueError, match="model.readout: expected auto or each"):
        Recurrent((4, 2), 3, each_step=True, readout="last")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"in_shape": (1, 8, 8)}, "expected sequences"),
        ({"in_shape": (64,)}, "expected sequences"),
        ({"cell": "qrnn"}, "model.cell: expected one of rnn, lstm, gru"),
        ({"norm": "batch"}, "model.norm: expected one of null, layer"),
        ({"readout": "first"}, "model.readout: expected one of"),
        ({"depth": 0}, "model.depth: expected at least one"),
        ({"cell": "rnn", "act": "elu"}, "act: expected tanh or relu"),
        ({"recurrent_init": "orthogonl"}, "model.recurrent_init: expected one of orthogonal"),
        ({"cell": "gru", "forget_bias": 1.0}, "model.forget_bias: expected null"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Recurrent(**{"in_shape": (8, 8), "out_features": 2, **arguments})


@pytest.mark.parametrize("layer", [nn.RNN(3, 64), nn.LSTM(3, 64), nn.GRU(3, 64)], ids=lambda layer: layer.mode)
@pytest.mark.parametrize("name", [name for name in RECURRENT_INITIALIZERS if name != "default"])
def test_each_gate_is_drawn_on_its_own(layer, name):
    torch.manual_seed(0)
    initialize_recurrent(layer, name, gain=0.5)
    for gate in layer.weight_hh_l0.detach().split(64):
        product = 4 * gate @ gate.T
        if name in ("orthogonal", "identity"):
            torch.testing.assert_close(product, torch.eye(64), rtol=0, atol=1e-5)
        else:  # variance 1/64; the sample variance of 4096 normal weights has a relative deviation of 2.2 %
            assert 4 * gate.var().item() * 64 == pytest.approx(1.0, rel=0.1)
    assert layer.bias_ih_l0.abs().sum() == 0 == layer.bias_hh_l0.abs().sum()


def test_the_default_is_torchs():
    torch.manual_seed(0)
    expected = nn.GRU(3, 4).state_dict()
    torch.manual_seed(0)
    layer = nn.GRU(3, 4)
    initialize_recurrent(layer)
    assert all(torch.equal(value, expected[name]) for name, value in layer.state_dict().items())


def test_the_forget_bias_counts_once():
    layer = nn.LSTM(3, 2)
    before = (layer.bias_ih_l0 + layer.bias_hh_l0).detach().clone()
    initialize_recurrent(layer, forget_bias=1.0)
    after = (layer.bias_ih_l0 + layer.bias_hh_l0).detach()
    assert after[2:4].tolist() == [1.0, 1.0]
    assert torch.equal(after[:2], before[:2])
    assert torch.equal(after[4:], before[4:])
