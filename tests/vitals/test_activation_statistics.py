"""What activations return, and what goes into layers: by hand."""

import math

import pytest
import torch
from torch import nn

from gradvitals.activations import ACTIVATIONS, activation
from gradvitals.vitals import (
    ActivationGradients,
    ActivationStatistics,
    DeadUnits,
    LayerInputs,
    bounds,
    is_activation,
    mean_and_std,
)


def test_every_activation_of_ours_is_found_by_type():
    for name in ACTIVATIONS:
        assert is_activation(activation(name)()) or name == "identity"


def test_what_is_no_activation_of_units_is_left_out():
    assert not any(map(is_activation, (nn.Softmax(1), nn.MultiheadAttention(4, 2), nn.Linear(1, 1), nn.Dropout())))


def test_which_activations_saturate():
    saturating = {name for name in ACTIVATIONS if bounds(activation(name)())}
    assert saturating == {"sigmoid", "tanh", "softsign", "hardtanh", "erf"}
    assert bounds(activation("hardtanh", min_val=-3.0)()) == (-3.0, 1.0)


def test_one_activation_that_serves_many_layers_is_told_apart():
    act = nn.ReLU()
    net = nn.Sequential(nn.Linear(1, 1, bias=False), act, nn.Linear(1, 1, bias=False), act)
    net[0].weight.data.fill_(2.0)
    net[2].weight.data.fill_(3.0)
    watched = ActivationStatistics([net[0], net[2]], [act])
    net(torch.ones(4, 1))
    seen = watched.take()
    assert (seen[net[0]].sum.item(), seen[net[2]].sum.item()) == (4 * 2.0, 4 * 6.0)


def test_micro_batches_join():
    # 1, 2 and 3, 6: mean 3, squares 50 / 4 - 9 = 3.5.
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.ReLU())
    net[0].weight.data.fill_(1.0)
    watched, inputs = ActivationStatistics([net[0]], [net[1]]), LayerInputs([net[0]])
    for batch in ([[1.0], [2.0]], [[3.0], [6.0]]):
        net(torch.tensor(batch))
    seen = watched.take()[net[0]]
    assert mean_and_std(seen.count, seen.sum.item(), seen.squares.item()) == pytest.approx((3.0, 3.5**0.5))
    squares, samples = inputs.take()[net[0]]
    assert (squares.item(), samples) == (pytest.approx(50.0), 4)


def test_a_deviation_far_from_zero_keeps_its_digits():
    # Around 1000 with deviation .01: in float32 the difference of the sums would be noise.
    a = 1000 + 0.01 * torch.randn(1000, 10, dtype=torch.float64)
    net = nn.Sequential(nn.Identity(), nn.ReLU())
    watched = ActivationStatistics([net[0]], [net[1]])
    net(a)
    seen = watched.take()[net[0]]
    assert mean_and_std(seen.count, seen.sum.item(), seen.squares.item())[1] == pytest.approx(
        a.std(correction=0).item(), rel=1e-4
    )


def test_what_is_not_finite_stays_so():
    assert all(map(math.isnan, mean_and_std(2, math.nan, math.nan)))


def test_half_of_the_outputs_at_zero_is_no_dead_unit():
    # Unit 0 is zero for half of the samples, unit 1 for all, unit 2 for all but one.
    x = torch.ones(1000, 3)
    x[::2, 0], x[:, 1], x[1:, 2] = -1.0, -1.0, -1.0
    net = nn.Sequential(nn.Identity(), nn.ReLU())
    watched = DeadUnits([net[0]], [net[1]])
    net(x[:500])
    assert watched.samples == 500
    net(x[500:])
    assert watched.samples == 1000
    assert (watched.peaks[net[0]] == 0).tolist() == [False, True, False]


def test_units_of_convolutions_are_channels_and_of_sequences_the_last_axis():
    net = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
    net[0].bias.data[:] = torch.tensor([-9.0, 1.0, 1.0])
    conv = DeadUnits([net[0]], [net[1]])
    net(torch.zeros(2, 1, 4, 4))
    assert (conv.peaks[net[0]] == 0).tolist() == [True, False, False]
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    sequence = DeadUnits([net[0]], [net[1]])
    net(torch.zeros(2, 7, 2))
    assert sequence.peaks[net[0]].shape == (3,)
    assert sequence.samples == 2


def test_what_runs_without_gradients_does_not_count():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    watched, inputs = ActivationStatistics([net[0]], [net[1]]), LayerInputs([net[0]])
    with torch.no_grad():
        net(torch.ones(4, 2))
    assert not watched.take()
    assert not inputs.take()


class Twice(nn.Module):
    """One layer, called twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x):
        return self.layer(self.layer(x).tanh())


def norms_by_hand(net, x, backwards=1):
    outputs = []
    hook = net.layer.register_forward_hook(lambda _, __, h: (h.retain_grad(), outputs.append(h))[0])
    for _ in range(backwards):
        net(x).square().mean().backward()
    hook.remove()
    return torch.cat([h.grad for h in outputs]).norm().item()


def test_all_calls_of_a_layer_in_one_backward_pass_join():
    net, x = Twice(), torch.randn(5, 3)
    expected = norms_by_hand(net, x)
    net.zero_grad()
    caught = ActivationGradients([net.layer])
    net(x).square().mean().backward()
    assert caught.take()[net.layer].item() == pytest.approx(expected, rel=1e-6)


def test_backward_passes_join_as_the_weights_gradient_does():
    net, x = Twice(), torch.randn(5, 3)
    once, twice = norms_by_hand(net, x), norms_by_hand(net, x, backwards=2)
    net.zero_grad()
    caught = ActivationGradients([net.layer])
    net(x).square().mean().backward()
    net(x).square().mean().backward()
    assert caught.take()[net.layer].item() == pytest.approx(twice, rel=1e-6)
    net(x).square().mean().backward()
    net.zero_grad()  # that one was for nothing
    net(x).square().mean().backward()
    assert caught.take()[net.layer].item() == pytest.approx(once, rel=1e-6)


def test_a_gradient_penalty_counts_once():
    # loss = h + |dh/dx|^2 with h = w x: dloss/dh = 1, and the penalty's own way goes past h.
    net = nn.Sequential(nn.Linear(1, 1, bias=False))
    x = torch.ones(1, 1, requires_grad=True)
    caught = ActivationGradients([net[0]])
    for _ in range(2):  # of two micro-batches, each counts once
        h = net(x)
        (slope,) = torch.autograd.grad(h.sum(), x, create_graph=True)
        (h.sum() + slope.square().sum()).backward()
    assert caught.take()[net[0]].item() == pytest.approx(2**0.5)


def test_hooks_come_off():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    for watch in (ActivationGradients, lambda net: ActivationStatistics(net, net), LayerInputs):
        watched = watch(net)
        assert net[0]._forward_hooks
        watched.close()
        assert not net[0]._forward_hooks
    dead = DeadUnits(net, net)
    dead.pause()
    assert not net[0]._forward_hooks
