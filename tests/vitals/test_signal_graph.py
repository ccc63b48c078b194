"""The graph of the forward pass of a network with convolutions, of any structure."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradvitals.vitals import SignalGraph

X = torch.randn(4, 2, 8, 8, generator=torch.Generator().manual_seed(0))


class Own(nn.Module):
    def __init__(self, forward, **parts: nn.Module) -> None:
        super().__init__()
        self.how, self.parts = forward, nn.ModuleDict(parts)

    def forward(self, x):
        return self.how(self.parts, x)


def nodes(net: nn.Module, x: torch.Tensor = X):
    graph = SignalGraph(net)
    loss = net(x.clone().requires_grad_()).square().mean()
    graph.close()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    return graph.nodes(loss)


def shape(found):
    return [(node.kind, node.inputs, node.is_whole) for node in found]


def conv(channels: int = 2, out: int = 2, **options) -> nn.Conv2d:
    return nn.Conv2d(channels, out, 3, padding=1, **options)


@pytest.mark.parametrize("act", [nn.ReLU(), nn.ReLU(inplace=True), nn.Tanh()])
@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect"])
def test_a_chain(act, mode):
    net = nn.Sequential(
        conv(padding_mode=mode), nn.BatchNorm2d(2), act, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(32, 3)
    )
    found = nodes(net)
    assert shape(found) == [
        ("layer", (None,), True),
        ("batch", (0,), True),
        ("act", (1,), True),
        ("max", (2,), True),
        ("layer", (3,), False),
    ]
    assert [node.shape for node in found] == [(2, 8, 8), (2, 8, 8), (2, 8, 8), (2, 4, 4), (3,)]
    assert found[-1].input_shape == (32,)


@pytest.mark.parametrize("kind", ["mean", "module", "average"])
def test_the_mean_over_the_pixels(kind):
    pools = {"module": nn.AdaptiveAvgPool2d(1), "average": nn.AvgPool2d(8)}

    def forward(parts, x):
        h = parts["conv"](x)
        return parts["head"](h.mean((-1, 2)) if kind == "mean" else parts["pool"](h).flatten(1))

    found = nodes(Own(forward, conv=conv(), head=nn.Linear(2, 3), pool=pools.get(kind, nn.Identity())))
    assert [node.kind for node in found] == ["layer", "mean" if kind == "mean" else "average", "layer"]
    assert [node.inputs for node in found] == [(None,), (0,), (1,)]


@pytest.mark.parametrize(
    "sum_up",
    [
        lambda x, y: x + y,
        lambda x, y: y + x,
        lambda x, y: x.clone().add_(y),
        lambda x, y: torch.relu(x + y),
    ],
)
def test_a_shortcut(sum_up):
    def forward(parts, x):
        x = parts["first"](x)
        return parts["last"](sum_up(x, parts["act"](parts["branch"](x))))

    found = nodes(Own(forward, first=conv(), branch=conv(), act=nn.Tanh(), last=conv()))
    (total,) = [node for node in found if node.kind == "add"]
    assert set(total.inputs) == {0, 2}
    assert all(node.is_whole for node in found[:-1])
    assert found[-1].inputs == (len(found) - 2,)


@pytest.mark.parametrize(
    "forward",
    [
        lambda p, x: p["b"](p["act"](y := p["a"](x)) + y),  # no weights between the summands
        lambda p, x: p["b"](torch.add(y := p["a"](x), p["c"](y), alpha=0.5)),
        lambda p, x: p["b"](2 * p["a"](x)),
        lambda p, x: p["b"](torch.cat([p["a"](x)[:, :1], p["c"](x)[:, :1]], 1)),
        lambda p, x: p["b"](p["a"](x).transpose(2, 3)),
        lambda p, x: p["b"](p["a"](x).mean((2, 3), keepdim=True).expand(4, 2, 8, 8)),
        lambda p, x: p["b"](p["a"](x).flatten(1).view(4, 2, 8, 8).flip(0)),
        lambda p, x: p["b"](p["dropout"](p["a"](x))),
        lambda p, x: p["b"](F.max_pool2d(p["a"](x), 2)),
        lambda p, x: p["b"](p["own"](p["a"](x))),
        lambda p, x: p["b"](p["overlapping"](p["a"](x))),
        lambda p, x: p["b"](p["frozen"](p["a"](x))),
    ],
)
def test_what_is_not_known_leads_nowhere(forward):
    class OwnConv(nn.Conv2d):
        def forward(self, x):
            return self._conv_forward(x, 2 * self.weight, self.bias)

    parts = {name: conv() for name in "abc"} | {
        "act": nn.ReLU(),
        "dropout": nn.Dropout(0.5),
        "own": OwnConv(2, 2, 3),
        "overlapping": nn.AvgPool2d(3, 1),
        "frozen": nn.BatchNorm2d(2).eval(),
    }
    found = nodes(Own(forward, **parts))
    layers = [node for node in found if node.kind == "layer"]
    assert layers[-1].inputs == (None,)
    assert not layers[0].is_whole


def test_what_goes_past_a_layer():
    found = nodes(Own(lambda p, x: p["b"](y := p["a"](x)) + y.mean(), a=conv(), b=conv()))
    assert shape(found) == [("layer", (None,), False), ("layer", (0,), False)]


def test_a_layer_that_is_called_twice_is_none():
    found = nodes(Own(lambda p, x: p["b"](p["a"](p["a"](x))), a=conv(), b=conv()))
    assert shape(found) == [("layer", (None,), False)]
    spectral = nn.utils.parametrizations.spectral_norm(conv())
    assert shape(nodes(nn.Sequential(spectral, conv()))) == [("layer", (None,), False)]


def test_nothing_is_watched_without_a_convolution():
    assert nodes(nn.Sequential(nn.Flatten(), nn.Linear(128, 3))) == []
    net = nn.Sequential(conv())
    graph = SignalGraph(net)
    with torch.no_grad():
        loss = net(X).mean()
    graph.close()
    assert graph.nodes(loss) == []


def test_sizes_by_hand():
    net = nn.Sequential(nn.Conv1d(1, 2, 1, bias=False), nn.MaxPool1d(2), nn.Conv1d(2, 1, 1))
    net[0].weight.data.copy_(torch.tensor([1.0, -2.0]).reshape(2, 1, 1))
    first, pool, _ = nodes(net, torch.tensor([[[1.0, 3.0]]]))
    assert first.measured.square.tolist() == pytest.approx([2.5, 22.5])  # of (1, -2) and of (3, -6)
    assert first.measured.common == pytest.approx(10.0)  # the means are 2 and -4
    assert first.measured.variances.tolist() == pytest.approx([1.0, 4.0])
    assert pool.measured.growth == pytest.approx(6.5 / 12.5)  # 3 and -2 are left
