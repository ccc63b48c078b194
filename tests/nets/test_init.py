import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from gradvitals.activations import ACTIVATIONS, gain
from gradvitals.nets.init import INITIALIZERS, TRUNCATED_STD, fans, initialize, initializer, lsuv_, mismatch
from gradvitals.nets.mlp import MLP

REFERENCE = {e["id"]: e for e in json.loads((Path(__file__).parents[1] / "reference/init.json").read_text())}

# name -> variance of a weight of shape (out, in)
VARIANCES = {
    "he_uniform": lambda i, o: 2 / i,
    "he_normal": lambda i, o: 2 / i,
    "glorot_uniform": lambda i, o: 2 / (i + o),
    "glorot_normal": lambda i, o: 2 / (i + o),
    "lecun_uniform": lambda i, o: 1 / i,
    "lecun_normal": lambda i, o: 1 / i,
    "uniform": lambda i, o: 0.1**2 / 12,
    "normal": lambda i, o: 0.05**2,
    "variance_scaling": lambda i, o: 1 / i,
    "default": lambda i, o: 1 / (3 * i),
}


def drawn(name: str, fan_in: int, fan_out: int, seed: int = 0, **options) -> torch.Tensor:
    torch.manual_seed(seed)
    layer = nn.Linear(fan_in, fan_out)
    torch.manual_seed(seed)
    initialize(layer, name, **options)
    return layer.weight.detach()


@pytest.mark.parametrize("name", VARIANCES)
@pytest.mark.parametrize(("fan_in", "fan_out"), [(300, 700), (700, 300)])
def test_variance_is_the_formula(name, fan_in, fan_out):
    # The sample variance of n normal weights has relative sd sqrt(2/n) = 0.3 %; four of them.
    weight = drawn(name, fan_in, fan_out)
    assert float(weight.var()) == pytest.approx(VARIANCES[name](fan_in, fan_out), rel=4 * math.sqrt(2 / weight.numel()))
    assert float(weight.mean().abs()) < 4 * math.sqrt(VARIANCES[name](fan_in, fan_out) / weight.numel())


@pytest.mark.parametrize(
    ("entry", "name"),
    [
        ("init.he_u.10x32", "he_uniform"),
        ("init.he_u.100x128", "he_uniform"),
        ("init.glorot_u.10x32", "glorot_uniform"),
        ("init.torch_default.10x32", "default"),
        ("init.lecun.784x128", "lecun_normal"),
    ],
)
def test_published_variances(entry, name):
    reference = REFERENCE[entry]
    weight = drawn(name, reference["setting"]["fan_in"], reference["setting"]["fan_out"])
    assert float(weight.var()) == pytest.approx(reference["value"], rel=reference["tolerance"]["rel"])


def test_scatter_of_the_sample_variance():
    # sqrt(0.8/n) for uniform, sqrt(2/n) for normal draws: what the tolerances above stand on.
    reference = REFERENCE["init.samplevar"]
    for kind, name in (("uniform", "he_uniform"), ("normal", "untruncated")):
        for fan_in, fan_out in reference["setting"]["shapes"]:
            options = {"distribution": "untruncated_normal"} if name == "untruncated" else {}
            name_ = "variance_scaling" if options else name
            draws = torch.stack([drawn(name_, fan_in, fan_out, seed, **options).var() for seed in range(200)])
            expected = reference["value"][f"{kind}_{fan_in * fan_out}"]
            assert float(draws.std() / draws.mean()) == pytest.approx(expected, rel=reference["tolerance"]["rel"])


def test_notebook_weights_to_the_digit():
    torch.manual_seed(0)
    default = REFERENCE["init.torch.seed0.default"]
    torch.testing.assert_close(
        nn.Linear(2, 4).weight, torch.tensor(default["value"]), atol=default["tolerance"]["abs"], rtol=0
    )
    he = REFERENCE["init.torch.seed0.kaiming"]
    torch.testing.assert_close(
        drawn("he_uniform", 2, 4), torch.tensor(he["value"]), atol=he["tolerance"]["abs"], rtol=0
    )


def test_he_uniform_is_sqrt6_times_torchs_default():
    # How the bounds are rounded depends on the machine, and a weight near 0 shows it most.
    reference = REFERENCE["init.ratio_sqrt6"]
    expected = reference["value"] * drawn("default", 30, 20)
    rounding = 4 * torch.finfo(torch.float32).eps * float(expected.abs().max())
    torch.testing.assert_close(drawn("he_uniform", 30, 20), expected, rtol=reference["tolerance"]["rel"], atol=rounding)


def test_truncation_is_relative_and_corrected():
    # Keras cuts at two standard deviations of the wide normal; torch's own bounds are absolute and would not cut at all.
    assert pytest.approx(REFERENCE["init.truncnorm"]["value"], abs=1e-9) == TRUNCATED_STD
    weight = drawn("he_normal", 1000, 1000)
    std = math.sqrt(2 / 1000)
    assert float(weight.std()) == pytest.approx(std, rel=0.005)
    limit = 2 * std / TRUNCATED_STD
    assert 0.99 * limit < float(weight.abs().max()) <= limit * (1 + 1e-6)


def test_gains_are_torchs():
    known = REFERENCE["init.gains"]["value"]
    assert gain("sigmoid") == pytest.approx(known["sigmoid"])
    assert gain("tanh") == pytest.approx(known["tanh"])
    assert gain("relu") == pytest.approx(known["relu"])
    assert gain("leaky_relu") == pytest.approx(known["leaky_relu(0.01)"], rel=1e-6)


def test_orthogonal_rows_and_gain():
    weight = drawn("orthogonal", 64, 64, gain=3.0)
    torch.testing.assert_close(weight @ weight.T, 9 * torch.eye(64), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("conv", "center"), [(nn.Conv1d(4, 6, 5), (2,)), (nn.Conv2d(4, 6, 3), (1, 1))])
def test_a_delta_orthogonal_convolution_is_one_orthogonal_tap(conv, center):
    initialize(conv, "delta_orthogonal", gain=2.0)
    tap = conv.weight[(..., *center)]
    torch.testing.assert_close(tap.T @ tap, 4 * torch.eye(4))
    assert conv.weight.count_nonzero() == tap.count_nonzero() == 24


def test_a_delta_orthogonal_convolution_with_circular_padding_is_an_isometry():
    conv = nn.Conv2d(3, 5, 3, padding=1, padding_mode="circular", dtype=torch.float64)
    initialize(conv, "delta_orthogonal")
    x = torch.randn(4, 3, 7, 6, dtype=torch.float64)
    torch.testing.assert_close(conv(x).flatten(1).norm(dim=1), x.flatten(1).norm(dim=1))
    x, y = x[:2], x[2:]  # and angles are kept, not only norms
    torch.testing.assert_close((conv(x) * conv(y)).sum((1, 2, 3)), (x * y).sum((1, 2, 3)))


def test_delta_orthogonal_rows_are_orthonormal_where_outputs_are_fewer():
    conv = nn.Conv2d(6, 4, 3)
    initialize(conv, "delta_orthogonal")
    tap = conv.weight[:, :, 1, 1]
    torch.testing.assert_close(tap @ tap.T, torch.eye(4))


def test_a_delta_orthogonal_linear_layer_is_orthogonal():
    weight = drawn("delta_orthogonal", 64, 64)
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), atol=1e-5, rtol=0)


def test_each_group_of_a_convolution_is_drawn_as_one_of_its_own():
    conv = nn.Conv2d(6, 6, 3, groups=3)
    initialize(conv, "delta_orthogonal")
    for tap in conv.weight[:, :, 1, 1].chunk(3):
        torch.testing.assert_close(tap.T @ tap, torch.eye(2))


@pytest.mark.parametrize("name", [name for name in VARIANCES if name != "default"])
def test_variances_of_a_convolution_count_its_pixels(name):
    # 3 x 3 x 40 inputs of each output; 3 x 3 x 60 outputs of each input.
    conv = nn.Conv2d(40, 60, 3)
    initialize(conv, name)
    expected = VARIANCES[name](9 * 40, 9 * 60)
    assert conv.weight.var().item() == pytest.approx(expected, rel=4 * math.sqrt(2 / conv.weight.numel()))


def test_auto_counts_the_pixels_of_a_convolution():
    conv = nn.Conv2d(40, 60, 3)
    initialize(conv, "auto", act={"name": "relu"})
    assert conv.weight.var().item() == pytest.approx(2 / 360, rel=0.04)


@pytest.mark.parametrize("mode", ["fan_in", "fan_out", "fan_avg"])
@pytest.mark.parametrize("distribution", ["uniform", "truncated_normal", "untruncated_normal"])
def test_variance_scaling_family(mode, distribution):
    n = {"fan_in": 300, "fan_out": 700, "fan_avg": 500}[mode]
    weight = drawn("variance_scaling", 300, 700, scale=3.0, mode=mode, distribution=distribution)
    assert float(weight.var()) == pytest.approx(3 / n, rel=0.02)


def test_fans_of_a_convolution():
    # 4 inputs x 3 x 3 = 36 numbers make an output; each input goes into 8 x 9 = 72.
    assert fans(nn.Conv2d(4, 8, 3).weight) == (36, 72)


@pytest.mark.parametrize(
    ("act", "variance"),
    [("relu", 2 / 300), ("selu", 1 / 300), ("sigmoid", 2 / 1000), ("tanh", (5 / 3) ** 2 * 2 / 1000)],
)
def test_auto_by_family(act, variance):
    # Shape (700, 300): He and LeCun by fan_in = 300, Glorot by (300 + 700) / 2.
    assert float(drawn("auto", 300, 700, act={"name": act}).var()) == pytest.approx(variance, rel=0.02)


@pytest.mark.parametrize("name", [n for n in INITIALIZERS if n != "default"])
def test_biases_are_zero_unless_asked(name):
    layer = nn.Linear(8, 8)
    initialize(layer, name, bias="default")
    assert layer.bias.abs().sum() > 0
    initialize(layer, name)
    assert layer.bias.abs().sum() == 0


def test_a_number_is_the_deviation_of_the_biases():
    layer = nn.Linear(2, 20000)
    initialize(layer, "lecun_normal", bias=0.05**0.5)
    assert layer.bias.var().item() == pytest.approx(0.05, rel=0.04)


def test_output_layer_has_its_own_choice():
    net = MLP(400, 400, hidden=[400])
    initialize(net, "he_normal", output="lecun_normal")
    assert net.layers[0].linear.weight.var().item() == pytest.approx(2 / 400, rel=0.03)
    assert net.head.weight.var().item() == pytest.approx(1 / 400, rel=0.03)


@pytest.mark.parametrize("act", ["relu", "gelu", "tanh", "elu"])
def test_lsuv_gives_every_layer_variance_one(act):
    net, x = MLP(20, 10, depth=8, width=64, act=act), torch.randn(512, 20)
    initialize(net, "lsuv")
    lsuv_(net, x)
    seen = []
    for layer in [*(block.linear for block in net.layers), net.head]:
        layer.register_forward_hook(lambda _, __, out: seen.append(out.var().item()))
    net(x)
    assert seen == pytest.approx([1.0] * 9, abs=0.02)


def test_lsuv_gain_and_output():
    torch.manual_seed(0)
    net, x = MLP(20, 10, depth=2, width=64), torch.randn(512, 20)
    initialize(net, "lsuv", output="normal")
    head = net.head.weight.clone()
    lsuv_(net, x, gain=3.0, output=False)
    assert torch.equal(net.head.weight, head)
    assert (x @ net.layers[0].linear.weight.T).var().item() == pytest.approx(9, rel=0.02)


def test_lsuv_leaves_hooks_and_moving_statistics_as_they_were():
    net = MLP(20, 10, depth=2, norm="batch")
    before = {name: buffer.clone() for name, buffer in net.named_buffers()}
    lsuv_(net, torch.randn(64, 20))
    assert all(torch.equal(buffer, before[name]) for name, buffer in net.named_buffers())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"name": "he_norml"}, "expected one of he_normal.*; got 'he_norml'"),
        ({"name": "he_normal", "std": 1.0}, "init=he_normal takes gain, bias, output; got std"),
        ({"name": "uniform", "std": 1.0}, "init=uniform takes low, high, gain, bias, output; got std"),
        ({"name": "variance_scaling", "mode": "fan"}, "init.mode: expected one of fan_in, fan_out, fan_avg; got 'fan'"),
        ({"name": "variance_scaling", "distribution": "x"}, "init.distribution: expected one of uniform"),
        ({"name": "variance_scaling", "scale": -1.0}, "init.scale: expected a positive number; got -1"),
        ({"name": "normal", "bias": "ones"}, "init.bias: expected zeros, default or a standard deviation; got 'ones'"),
        ({"name": "auto"}, "init=auto needs the activation's name"),
    ],
)
def test_wrong_input_says_what_is_accepted(options, words):
    with pytest.raises(ValueError, match=words):
        initialize(nn.Linear(2, 2), **options)


def test_remarks_on_bad_pairings_only():
    assert "lecun_normal" in mismatch("selu", "he_normal")
    assert "saturates" in mismatch("sigmoid", "he_uniform")
    assert mismatch("relu", "he_normal") is None
    assert all(mismatch(act, "auto") is None for act in ACTIVATIONS)


def test_every_name_draws():
    for name in ["auto", *INITIALIZERS]:
        assert torch.isfinite(initializer(name, {"name": "relu"})(torch.empty(4, 4))).all() or name == "default"
