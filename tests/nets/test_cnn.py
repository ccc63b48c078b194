import pytest
import torch
from torch import nn

from gradvitals.nets.cnn import CNN
from gradvitals.nets.init import initialize
from gradvitals.vitals import count


def shapes(net: CNN, *in_shape: int) -> list[tuple[int, ...]]:
    """Returns the shape after each layer and pooling."""
    found = []
    for layer in net.layers:
        layer.register_forward_hook(lambda _, __, out: found.append(tuple(out.shape[1:])))
    net(torch.randn(2, *in_shape))
    return found


def test_parameters_by_hand():
    # 3*3*1*4 + 4 of the first convolution, 3*3*4*4 + 4 of the second, 4*10 + 10 of the head.
    assert count(CNN((1, 8, 8), 10, depth=2, width=4, stages=1)).total == 40 + 148 + 50
    # A norm takes the place of the bias: a factor and a shift for each channel, and BatchNorm's two statistics and counter.
    normed = CNN((1, 8, 8), 10, depth=2, width=4, stages=1, norm="batch")
    assert normed.layers[0].conv.bias is None
    assert sum(p.numel() for p in normed.parameters()) == 36 + 8 + 144 + 8 + 50


def test_the_stages_have_equally_many_layers_and_images_of_half_the_size():
    same, half, quarter = (4, 8, 8), (4, 4, 4), (4, 2, 2)
    pooled = CNN((1, 8, 8), 10, depth=6, width=4, stages=3)
    assert shapes(pooled, 1, 8, 8) == [same, same, half, half, half, quarter, quarter, quarter]
    strided = CNN((1, 8, 8), 10, depth=6, width=4, stages=3, pool="stride")
    assert shapes(strided, 1, 8, 8) == [same, same, half, half, quarter, quarter]
    assert shapes(CNN((1, 7, 7), 10, depth=2, width=4, stages=2), 1, 7, 7) == [(4, 7, 7), (4, 3, 3), (4, 3, 3)]


def test_the_head_gets_the_mean_over_the_pixels():
    net, x = CNN((2, 4, 4), 3, depth=1, width=5, stages=1), torch.randn(6, 2, 4, 4)
    conv = net.layers[0].conv
    last = torch.conv2d(x, conv.weight, conv.bias, padding=1).relu()
    torch.testing.assert_close(net(x), last.mean((2, 3)) @ net.head.weight.T + net.head.bias)


@pytest.mark.parametrize(("pool", "pixels"), [("max", 9), ("stride", 16)])
def test_the_head_gets_all_pixels_where_they_are_asked_for(pool, pixels):
    options = {"depth": 2, "width": 5, "stages": 2, "pool": pool, "readout": "pixels"}
    net, x = CNN((2, 7, 7), 3, **options), torch.randn(6, 2, 7, 7)
    assert net.head.in_features == 5 * pixels
    torch.testing.assert_close(net(x), net.layers(x).flatten(1) @ net.head.weight.T + net.head.bias)
    assert CNN((2, 7, 7), 3, head=False, **options).out_features == 5 * pixels


@pytest.mark.parametrize("pool", ["max", "avg", "stride"])
def test_residual_adds_the_input_and_projects_where_shapes_differ(pool):
    net = CNN((1, 8, 8), 10, depth=4, width=4, stages=2, pool=pool, residual=True)
    blocks = [layer for layer in net.layers if hasattr(layer, "branch")]
    assert [type(block.shortcut) is nn.Identity for block in blocks] == [False, True, pool != "stride", True]
    x = torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(blocks[1](x), x + blocks[1].branch(x))
    assert net(torch.randn(2, 1, 8, 8)).shape == (2, 10)


def test_flat_pixels_are_images_of_the_given_shape():
    net, x = CNN((1, 8, 8), 10, depth=2, width=4, stages=1), torch.randn(3, 1, 8, 8)
    torch.testing.assert_close(net(x.flatten(1)), net(x))


def test_circular_padding_sees_no_border():
    # A shifted image gives the shifted features, whose mean is the same; with zeros the border matters.
    x = torch.randn(2, 1, 8, 8)
    for padding, is_same in (("circular", True), ("zeros", False)):
        net = CNN((1, 8, 8), 10, depth=3, width=8, stages=1, padding=padding)
        assert torch.allclose(net(x), net(x.roll((3, 2), (2, 3))), atol=1e-6) == is_same


def test_two_hundred_delta_orthogonal_convolutions_keep_every_norm():
    net = CNN((8, 6, 6), 10, depth=200, width=8, stages=1, padding="circular", act="identity").double()
    initialize(net, "delta_orthogonal")
    x = torch.randn(3, 8, 6, 6, dtype=torch.float64, requires_grad=True)
    out = net.layers(x)
    torch.testing.assert_close(out.flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))
    sent = torch.randn_like(out)
    out.backward(sent)
    torch.testing.assert_close(x.grad.flatten(1).norm(dim=1), sent.flatten(1).norm(dim=1))


@pytest.mark.parametrize(
    ("in_shape", "options", "words"),
    [
        ((64,), {}, r"expected images \(channels, height, width\); the data has samples of shape \(64,\)"),
        ((1, 8, 8), {"kernel": 2}, "model.kernel: expected an odd integer of at least 1; got 2"),
        ((1, 8, 8), {"padding": "reflect"}, "model.padding: expected one of zeros, circular; got 'reflect'"),
        ((1, 8, 8), {"pool": "min"}, "model.pool: expected one of max, avg, stride; got 'min'"),
        ((1, 8, 8), {"readout": "last"}, "model.readout: expected one of mean, pixels; got 'last'"),
        ((1, 8, 8), {"norm": "rms"}, "model.norm: expected one of batch, layer, group or null for images; got 'rms'"),
        ((1, 8, 8), {"stages": 7}, r"model.stages: expected 1 to 6, a layer for each \(model.depth\); got 7"),
        ((1, 8, 8), {"stages": 5}, "model.stages: expected at most 4 for images of 8 x 8 pixels.*; got 5"),
        ((1, 8, 8), {"kernel": 7, "padding": "circular"}, "model.kernel: expected at most 5.* 2 pixels.*; got 7"),
    ],
)
def test_wrong_input_says_what_is_accepted(in_shape, options, words):
    with pytest.raises(ValueError, match=words):
        CNN(in_shape, 10, **options)
