"""What is understood of how layers follow each other, and what is left out rather than guessed."""

import pytest
import torch
from torch import nn

from gradvitals.nets.mlp import MLP
from gradvitals.vitals import Chain, find_layers
from gradvitals.vitals.autograd_graph import Dominators

X = torch.randn(16, 6, generator=torch.Generator().manual_seed(0))


def links(net: nn.Module, x: torch.Tensor = X):
    """By layer, from one pass whose input takes a gradient."""
    chain = Chain(net)
    loss = net(x.clone().requires_grad_()).square().mean()
    chain.close()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    return chain.links([layer.module for layer in find_layers(net)], loss)


def shape(link):
    """What theory is told, without numbers."""
    return link and (type(link.act).__name__, link.norm, link.norm_position if link.norm else None, link.leads_on)


BARE = ("NoneType", None, None)


@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([nn.Tanh()], ("Tanh", None, None, True)),
        ([nn.ReLU(inplace=True)], ("ReLU", None, None, True)),
        ([], (*BARE, True)),
        ([nn.Identity(), nn.Unflatten(1, (2, 3)), nn.Flatten(), nn.Dropout(0.0)], (*BARE, True)),
        ([nn.BatchNorm1d(6), nn.ReLU()], ("ReLU", "batch", "before_act", True)),
        ([nn.ReLU(), nn.BatchNorm1d(6)], ("ReLU", "batch", "after_act", True)),
        ([nn.LayerNorm(6), nn.GELU()], ("GELU", "layer", "before_act", True)),
        ([nn.RMSNorm(6), nn.PReLU()], ("PReLU", "rms", "before_act", True)),
        # not understood: no word about what comes behind, and the layer does not lead on
        ([nn.Tanh(), nn.Dropout(0.5)], ("Tanh", None, None, False)),
        ([nn.Tanh(), nn.Tanh()], ("Tanh", None, None, False)),
        ([nn.Tanh(), nn.LayerNorm(6), nn.Tanh()], ("Tanh", "layer", "after_act", False)),
        ([nn.GroupNorm(2, 6), nn.ReLU()], (*BARE, False)),
        ([nn.BatchNorm1d(6).eval(), nn.ReLU()], (*BARE, False)),
        ([nn.Softmax(1)], (*BARE, False)),
        ([nn.PReLU(6)], (*BARE, False)),
        ([nn.RReLU()], (*BARE, False)),
    ],
)
def test_what_lies_between_two_layers(between, expected):
    found = links(nn.Sequential(nn.Linear(6, 6), nn.Sequential(*between), nn.Linear(6, 3)))
    assert [shape(link) for link in found] == [expected, (*BARE, False)]
    assert {link.block for link in found} == {"plain"}


def test_a_norm_on_either_side_of_an_activation():
    net = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Tanh(), nn.RMSNorm(6), nn.Linear(6, 3))
    first, last = links(net)
    assert shape(first) == ("Tanh", "layer", "before_act", True)
    assert shape(last) == ("NoneType", "rms", "before_linear", False)


def test_a_norm_that_was_trained_is_not_one_at_the_start():
    net = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3))
    nn.init.constant_(net[1].weight, 2.0)
    assert not links(net)[0].leads_on


def test_one_activation_for_all_layers():
    act = nn.Tanh()
    found = links(nn.Sequential(nn.Linear(6, 6), act, nn.Linear(6, 6), act, nn.Linear(6, 3)))
    assert [link.leads_on for link in found] == [True, True, False]
    assert found[1].act is act


def test_sizes_by_hand():
    net = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1), nn.ReLU(), nn.Linear(1, 1))
    nn.init.constant_(net[0].weight, 2.0)
    x = torch.tensor([[1.0], [3.0]])  # h = 2, 6: mean square 20, less the square of the mean 4
    assert links(net, x)[0].input_square == pytest.approx(5.0)
    assert links(net, x)[0].output_square == pytest.approx(4.0)
    assert links(net[::2], x)[0].output_square == pytest.approx(20.0)  # Linear, ReLU


class Block(nn.Module):
    """A shortcut, written in several ways."""

    def __init__(self, how: str):
        super().__init__()
        self.how, self.branch = how, nn.Sequential(nn.Linear(6, 6), nn.Tanh())

    def forward(self, x):
        y = self.branch(x)
        match self.how:
            case "sum":
                return x + y
            case "other way round":
                return y + x
            case "scaled":
                return x + 0.25 * y
            case "alpha":
                return torch.add(x, y, alpha=0.25)
            case "minus":
                return x + y * -1.0
            case "in place":
                return x.clone().add_(y)
            case "twice":
                return x + x + y
            case "activated":
                return (x + y).relu()
            case "gated":
                return 0.5 * x + 0.5 * y
            case "per feature":
                return x + torch.arange(6.0) * y


@pytest.mark.parametrize(
    ("how", "scale"),
    [("sum", 1), ("other way round", 1), ("scaled", 0.25), ("alpha", 0.25), ("minus", -1), ("in place", 1)],
)
def test_residual_blocks(how, scale):
    first, second, last = links(nn.Sequential(Block(how), Block(how), nn.Linear(6, 3)))
    assert shape(first) == shape(second) == ("Tanh", None, None, True)
    assert (first.block, last.block) == ("residual", "plain")
    assert first.scale == pytest.approx(scale, rel=1e-5)
    assert first.input_square == pytest.approx(X.square().mean().item())


@pytest.mark.parametrize("how", ["twice", "activated", "gated", "per feature"])
def test_what_is_nearly_a_residual_block(how):
    found = links(nn.Sequential(Block(how), Block(how), nn.Linear(6, 3)))
    assert not any(link.leads_on or link.block == "residual" for link in found)


def test_a_shortcut_that_is_overwritten_is_not_seen_as_a_scale_of_0():
    class InPlace(Block):
        def forward(self, x):
            x += self.branch(x)
            return x

    found = links(nn.Sequential(nn.Linear(6, 6), InPlace("sum"), nn.Linear(6, 3)))
    assert not any(link.leads_on for link in found)


def test_what_changes_nothing_is_no_residual_block():
    net = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU(), nn.ReLU()), nn.Linear(6, 3))
    assert [(link.block, link.leads_on) for link in links(net)] == [("plain", False), ("plain", False)]
    positive = nn.Sequential(nn.Linear(6, 6), nn.Sequential(nn.ReLU()), nn.Linear(6, 3))
    nn.init.constant_(positive[0].bias, 100.0)
    assert [shape(link) for link in links(positive)] == [("ReLU", None, None, True), (*BARE, False)]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, ("ReLU", None, None, True)),
        ({"norm": "layer", "norm_position": "before_linear"}, ("ReLU", "layer", "before_linear", True)),
        ({"norm": "batch", "norm_position": "after_act"}, ("ReLU", "batch", "after_act", True)),
        ({"norm": "rms"}, ("ReLU", "rms", "before_act", True)),
    ],
)
def test_our_residual_nets(options, expected):
    *hidden, head = links(MLP(6, 3, depth=3, width=6, block="residual", **options))
    assert [shape(link) for link in hidden] == [expected] * 3
    assert {(link.block, round(link.scale, 5)) for link in hidden} == {("residual", 1.0)}
    assert shape(head) == (*BARE, False)


class Shortcut(nn.Module):
    """``x + branch(x)`` around any branch."""

    def __init__(self, *branch: nn.Module):
        super().__init__()
        self.branch = nn.Sequential(*branch)
        self.latest = torch.zeros(())

    def forward(self, x):
        self.latest = self.branch(x)
        return x + self.latest


def test_a_plain_layer_in_front_of_a_block_with_a_norm():
    block = Shortcut(nn.LayerNorm(6), nn.Linear(6, 6), nn.Tanh())
    net = nn.Sequential(nn.Linear(6, 6), nn.ReLU(), block, nn.Linear(6, 3))
    first, inside, _ = links(net)
    assert shape(first) == ("ReLU", None, None, True)  # the norm stands in the branch alone
    assert shape(inside) == ("Tanh", "layer", "before_linear", True)
    assert inside.input_square == pytest.approx(
        net[:2](X).square().mean().item()
    )  # of the block's input, not the norm's


@pytest.mark.parametrize(
    "branch",
    [
        [nn.Tanh(), nn.Linear(6, 6)],
        [nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)],
        [nn.LayerNorm(6), nn.Linear(6, 6), nn.LayerNorm(6)],
    ],
)
def test_other_branches_are_not_understood(branch):
    *before, inside, head = links(nn.Sequential(Shortcut(*branch), nn.Linear(6, 3)))
    assert inside is None
    assert not any(link.block == "residual" for link in before)
    assert head is not None


def test_a_branch_that_is_used_once_more():
    block, head = Shortcut(nn.Linear(6, 6), nn.Tanh()), nn.Linear(6, 3)
    first, last = links(Own(lambda m, x: head(block(x)) + block.latest.mean(), block, head))
    assert first is None
    assert last is not None


def test_two_norms_on_a_layer_are_one_too_many():
    net = nn.Sequential(Block("sum"), nn.LayerNorm(6), nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 3))
    block, middle, _ = links(net)
    assert not block.leads_on
    assert shape(middle) == ("NoneType", "layer", "before_act", True)


def test_rezero_starts_at_0_and_a_projection_is_not_understood():
    assert [link.scale for link in links(MLP(6, 3, depth=2, width=6, block="rezero"))[:2]] == [0.0, 0.0]
    projection, branch, block, _ = links(MLP(6, 3, depth=2, width=8, block="residual"))
    assert not projection.leads_on
    assert not branch.leads_on
    assert block.leads_on


def test_a_norm_between_the_last_block_and_the_head():
    net = nn.Sequential(Block("sum"), nn.LayerNorm(6), nn.Linear(6, 3))
    block, head = links(net)
    assert block.leads_on
    assert shape(head) == ("NoneType", "layer", "before_linear", False)


@pytest.mark.parametrize("skip", ["add", "concat"])
def test_skips_inside_a_forward_are_not_understood(skip):
    assert not any(link.leads_on for link in links(MLP(6, 3, depth=3, width=6, skip=skip)))


class Own(nn.Module):
    """Three layers in a forward of one's own."""

    def __init__(self, forward, *parts):
        super().__init__()
        self.how, self.parts = forward, nn.ModuleList(parts)
        if parts:
            return
        self.a, self.b, self.c, self.act = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3), nn.Tanh()

    def forward(self, x):
        return self.how(self, x)


@pytest.mark.parametrize(
    ("forward", "lead_on"),
    [
        (lambda m, x: m.c(m.act(m.b(m.act(m.a(x))))), [True, True, False]),
        (lambda m, x: m.c(m.b(y := m.a(x)) + y), [False, False, False]),  # past b
        (lambda m, x: m.c(m.b(y := m.act(m.a(x)))) + y.mean(), [False, True, False]),  # past b and c
        (lambda m, x: m.c(torch.relu(m.b(m.act(m.a(x))))), [True, False, False]),  # a function, not a module
        (lambda m, x: m.c(2 * m.b(m.act(m.a(x)))), [True, False, False]),
        (lambda m, x: m.c(m.b(m.a(x).flip(1).T.T)), [False, True, False]),
    ],
)
def test_what_goes_past_a_layer(forward, lead_on):
    assert [link.leads_on for link in links(Own(forward))] == lead_on


def test_what_is_no_linear_layer_or_works_twice_has_no_link():
    conv = nn.Sequential(nn.Conv1d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(12, 3))
    assert [link is None for link in links(conv, X[:, None])] == [True, False]
    twice = links(Own(lambda m, x: m.c(m.a(m.act(m.a(x))))))
    assert [link is None for link in twice] == [True, True, False]  # a is called twice, b never
    spectral = nn.Sequential(nn.utils.parametrizations.spectral_norm(nn.Linear(6, 6)), nn.Tanh(), nn.Linear(6, 3))
    assert links(spectral)[0] is None


def test_a_table_of_tokens_in_front_of_a_block():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.net = nn.Embedding(10, 6), nn.Sequential(Block("sum"), nn.Linear(6, 3))

        def forward(self, x):
            return self.net(self.embedding(x))

    net = Tokens()
    chain = Chain(net)
    loss = net(torch.arange(10)).mean()
    chain.close()
    embedding, block, head = chain.links([layer.module for layer in find_layers(net)], loss)
    assert embedding is None
    assert (block.block, block.leads_on, head.leads_on) == ("residual", True, False)


def test_a_loss_without_a_graph():
    net = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 3))
    chain = Chain(net)
    with torch.no_grad():
        loss = net(X).mean()
    chain.close()
    assert chain.links([net[0], net[1]], loss) == [None, None]


def test_dominators_of_a_graph():
    x = torch.ones(2, requires_grad=True)
    a = x.exp()
    b, c = a.sin(), a.cos()
    d = b * c
    loss = (d + d.tan()).sum()
    graph = Dominators(loss.grad_fn)
    nodes = {name: tensor.grad_fn for name, tensor in {"a": a, "b": b, "c": c, "d": d}.items()}
    led = {(other, node) for other in nodes for node in nodes if graph.dominates(nodes[node], nodes[other])}
    assert led == {("a", "a"), ("b", "b"), ("c", "c"), ("d", "d"), ("a", "d"), ("b", "d"), ("c", "d")}
    assert not graph.dominates(nodes["d"], x.sin().grad_fn)  # not in the graph
