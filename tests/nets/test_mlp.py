import pytest
import torch
from torch import nn

from gradvitals.nets.mlp import MLP
from gradvitals.nets.normalization import NORMS, norm
from gradvitals.vitals import count


def test_parameter_counts_of_the_founding_recipes():
    # Keras' model.summary() of the three Fashion-MNIST recipes.
    first = MLP(784, 10, hidden=[50, 50, 50], norm="batch", norm_position="before_linear")
    assert count(first).total == 48_396
    assert count(first).statistics == 1_768
    after = MLP(784, 10, hidden=[300, 100], norm="batch", norm_position="after_act", input_norm=True)
    assert count(after).total == 271_346
    before = MLP(784, 10, hidden=[300, 100], norm="batch", norm_position="before_act", input_norm=True)
    assert count(before).total == 270_946


@pytest.mark.parametrize(
    ("position", "order"),
    [
        ("before_linear", ["BatchNorm1d", "Linear", "ReLU", "Linear"]),
        ("before_act", ["Linear", "BatchNorm1d", "ReLU", "Linear"]),
        ("after_act", ["Linear", "ReLU", "BatchNorm1d", "Linear"]),
    ],
)
def test_norm_stands_where_it_is_asked(position, order):
    net, called = MLP(4, 3, hidden=[5], norm="batch", norm_position=position), []
    for module in net.modules():
        if not list(module.children()) and not isinstance(module, nn.Identity):
            module.register_forward_hook(lambda m, _, __: called.append(type(m).__name__))
    net(torch.randn(6, 4))
    assert called == order


@pytest.mark.parametrize(
    ("position", "has_bias"), [("before_act", False), ("after_act", True), ("before_linear", True)]
)
def test_no_bias_in_front_of_a_norm(position, has_bias):
    net = MLP(4, 3, hidden=[5], norm="batch", norm_position=position)
    assert (net.layers[0].linear.bias is not None) == has_bias
    assert MLP(4, 3, hidden=[5], norm="batch", norm_position=position, bias=True).layers[0].linear.bias is not None
    assert net.head.bias is not None


def test_residual_is_a_sum_with_a_projection_where_widths_differ():
    net, x = MLP(4, 3, hidden=[5, 5], block="residual"), torch.randn(2, 4)
    first, second = net.layers
    h1 = x @ first.shortcut.weight.T + first.branch(x)
    h2 = h1 + second.branch(h1)
    assert isinstance(second.shortcut, nn.Identity)
    torch.testing.assert_close(net(x), net.head(h2))


def test_rezero_starts_as_its_shortcut():
    net, x = MLP(5, 3, hidden=[5, 5, 5], block="rezero"), torch.randn(2, 5)
    torch.testing.assert_close(net(x), net.head(x))


def test_add_sums_the_last_tensors_of_equal_width():
    # The slides' residual4: layer 3 is given l2 + l1, layer 4 l3 + l2; the input has another width and stays out.
    net, x = MLP(8, 1, hidden=[4, 4, 4, 4], skip="add", reach=2, head=False), torch.randn(2, 8)
    l1 = net.layers[0](x)
    l2 = net.layers[1](l1)
    l3 = net.layers[2](l2 + l1)
    torch.testing.assert_close(net(x), net.layers[3](l3 + l2))


def test_concat_joins_the_last_tensors():
    # The slides' skip4: the fourth layer is given l3, l2, l1.
    net, x = MLP(8, 1, hidden=[4, 4, 4, 4], skip="concat", reach=3, head=False), torch.randn(2, 8)
    l1 = net.layers[0](x)
    l2 = net.layers[1](torch.cat([l1, x], 1))
    l3 = net.layers[2](torch.cat([l2, l1, x], 1))
    torch.testing.assert_close(net(x), net.layers[3](torch.cat([l3, l2, l1], 1)))


def test_prelu_slopes_are_one_per_layer():
    net = MLP(4, 3, depth=3, width=5, act="prelu")
    assert len({layer.act.weight for layer in net.layers}) == 3


def test_depth_and_width_or_a_list():
    same = [(layer.linear.in_features, layer.linear.out_features) for layer in MLP(4, 3, depth=2, width=6).layers]
    assert same == [(4, 6), (6, 6)]
    assert [layer.linear.out_features for layer in MLP(4, 3, hidden=[7, 5]).layers] == [7, 5]
    assert len(MLP(4, 3, depth=0).layers) == 0


def test_images_are_flattened():
    assert MLP(12, 3)(torch.randn(2, 3, 2, 2)).shape == (2, 3)


def test_instance_norm_has_statistics_of_one_sample_and_nothing_learnt():
    module = norm("instance")(6)
    x = torch.randn(3, 6) * 5 + 2
    assert not list(module.parameters())
    out = module(x)
    torch.testing.assert_close(out.mean(1), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(out.var(1, unbiased=False), torch.ones(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(out[:1], module(x[:1]))  # other samples do not matter


def test_groups_divide_the_width():
    assert norm("group")(100).num_groups == 5
    assert norm("group")(128).num_groups == 8
    assert norm("group")(1).num_groups == 1
    with pytest.raises(ValueError, match=r"model.norm_groups: expected a divisor of the width 100; got 8"):
        norm("group", groups=8)(100)


def test_keras_batch_norm_is_a_matter_of_options():
    module = norm("batch", eps=1e-3, momentum=0.01)(4)
    assert (module.eps, module.momentum) == (1e-3, 0.01)


@pytest.mark.parametrize("name", NORMS)
def test_every_norm_on_the_input(name):
    x = torch.randn(16, 6) * 100 + 50
    assert MLP(6, 3, input_norm=name).input_norm(x).abs().mean() < 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"norm": "bath"}, "model.norm: expected one of batch, .* got 'bath'"),
        (
            {"norm_position": "after"},
            "model.norm_position: expected one of before_linear, before_act, after_act; got 'after'",
        ),
        ({"block": "resnet"}, "model.block: expected one of plain, residual, rezero; got 'resnet'"),
        ({"skip": "cat"}, "model.skip: expected one of none, add, concat; got 'cat'"),
        ({"reach": 0}, "model.reach: expected an integer of at least 1, or null for all; got 0"),
        ({"hidden": [4, -1]}, r"model.hidden: expected widths of at least 1; got \[4, -1\]"),
        ({"bias": "maybe"}, "model.bias: expected one of auto, true, false; got 'maybe'"),
        ({"norm_eps": 1e-3}, "model.norm_eps needs a norm"),
        (
            {"norm": "layer", "norm_momentum": 0.1},
            "model.norm_momentum belongs to model.norm=batch; got model.norm=layer",
        ),
        ({"act": "reluu"}, "expected one of relu"),
    ],
)
def test_wrong_input_says_what_is_accepted(options, words):
    with pytest.raises(ValueError, match=words):
        MLP(4, 3, **options)
