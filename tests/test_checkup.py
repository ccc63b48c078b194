"""The pre-flight's numbers against plain autograd in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradvitals import preflight
from gradvitals.nets.mlp import MLP

BATCH = (torch.randn(32, 6, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3)


def test_numbers_are_autograds():
    net = MLP(6, 3, depth=2, width=5)
    found = preflight(net, BATCH, F.cross_entropy)
    double = MLP(6, 3, depth=2, width=5).double()
    double.load_state_dict(net.state_dict())
    x = BATCH[0].double().requires_grad_()
    h1 = double.layers[0].linear(x)
    h2 = double.layers[1].linear(h1.relu())
    out = double.head(h2.relu())
    hs = (h1, h2, out)
    for h in hs:
        h.retain_grad()
    loss = F.cross_entropy(out, BATCH[1])
    loss.backward()
    norms = [h.grad.norm().item() for h in hs]
    assert found.loss_start == pytest.approx(loss.item(), rel=1e-6)
    assert found.input_grad_norm == pytest.approx(x.grad.norm().item(), rel=1e-5)
    assert [layer.activation_grad_norm for layer in found.layers] == pytest.approx(norms, rel=1e-5)
    assert [layer.gain_measured for layer in found.layers[:-1]] == pytest.approx(
        [norms[0] / norms[1], norms[1] / norms[2]], rel=1e-5
    )
    assert found.layers[-1].gain_measured is None
    weights = [double.layers[0].linear.weight, double.layers[1].linear.weight, double.head.weight]
    assert [layer.grad_norm for layer in found.layers] == pytest.approx(
        [w.grad.norm().item() for w in weights], rel=1e-5
    )


def test_the_network_stays_as_it_was():
    net = MLP(6, 3, depth=2, width=5, norm="batch")
    net.layers[0].norm.eval()
    F.cross_entropy(net(BATCH[0]), BATCH[1]).backward()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    gradients = [p.grad.clone() for p in net.parameters()]
    with torch.no_grad():  # whoever calls it
        preflight(net, BATCH, F.cross_entropy)
    assert net.training
    assert not net.layers[0].norm.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(torch.equal(p.grad, g) for p, g in zip(net.parameters(), gradients, strict=True))
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())


def test_it_is_a_function_however_it_was_imported():
    import gradvitals.checkup
    from gradvitals import preflight as again

    assert again is gradvitals.checkup.preflight


def test_frozen_and_unused_layers_and_tokens():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.head = nn.Embedding(10, 4), nn.Linear(4, 3)
            self.frozen, self.unused = nn.Linear(4, 4).requires_grad_(False), nn.Linear(2, 2)

        def forward(self, x):
            return self.head(self.frozen(self.embedding(x)))

    found = preflight(Tokens(), (BATCH[1], BATCH[1]), F.cross_entropy)
    assert found.input_grad_norm is None
    rows = {layer.name: (layer.grad_norm is None, layer.activation_grad_norm is None) for layer in found.layers}
    assert rows == {
        "embedding": (False, False),
        "frozen": (True, False),
        "head": (False, False),
        "unused": (True, True),
    }
