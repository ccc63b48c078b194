"""Theory beside torch: nets of this project, Gaussian weights, gradients as autograd finds them."""

import math

import pytest
import torch

from gradvitals.activations import activation
from gradvitals.theory import Stage, batchnorm_gain, log_scatter, predict, residual_growth
from tests.theory.simulate import draw_, geometric_mean, linears, log_ratios, mlp, squares

WIDTH, DEPTH, BATCH = 256, 12, 64
POSITIONS = ("before_linear", "before_act", "after_act")


def stages(act, sigma_w2, depth=DEPTH, width=WIDTH, **settings):
    hidden = Stage(act, sigma_w2, fan_in=width, fan_out=width, **settings)
    return [hidden] * depth + [Stage(None, sigma_w2, fan_in=width, fan_out=width)]


def compared(act, sigma_w2, seeds=4, batch=BATCH, depth=DEPTH, width=WIDTH, **settings):
    """Logarithms ``(seeds, layers)`` of what is measured, and ``(layers,)`` of what is predicted, and the scatter."""
    logs = log_ratios(mlp(depth, width, act=act, **settings), range(seeds), sigma_w2=sigma_w2, batch=batch, width=width)
    found = predict(stages(act, sigma_w2, depth, width, **settings), q1=sigma_w2, batch_size=batch)
    assert found[-1] is None
    expected = torch.tensor([math.log(layer.gain) for layer in found[:-1]])
    return logs, expected, torch.tensor([layer.scatter for layer in found[:-1]])


def hold(logs, expected, total=0.04, layer=0.15):
    assert geometric_mean(logs) == pytest.approx(geometric_mean(expected), rel=total)
    torch.testing.assert_close(logs.mean(0), expected.double(), atol=layer, rtol=0)


@pytest.mark.parametrize(
    ("act", "sigma_w2"), [("relu", 2.0), ("relu", 1.0), ("tanh", 1.5), ("sigmoid", 4.0), ("elu", 1.0)]
)
def test_plain(act, sigma_w2):
    logs, expected, _ = compared(act, sigma_w2)
    hold(logs, expected, total=0.03)


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("norm", ["batch", "layer", "rms"])
@pytest.mark.parametrize("act", ["relu", "tanh"])
def test_norms(act, norm, position):
    logs, expected, _ = compared(act, 1.5, seeds=8, norm=norm, norm_position=position)
    hold(logs, expected)


@pytest.mark.parametrize(("norm", "position"), [("layer", p) for p in POSITIONS] + [("batch", p) for p in POSITIONS])
@pytest.mark.parametrize("act", ["relu", "sigmoid"])
def test_residual_with_a_norm(act, norm, position):
    logs, expected, _ = compared(act, 1.5, norm=norm, norm_position=position, block="residual")
    hold(logs, expected)


@pytest.mark.parametrize(("act", "depth"), [("tanh", 12), ("sigmoid", 12), ("relu", 12), ("relu", 24), ("gelu", 20)])
def test_residual(act, depth):
    """Of activations whose mean is not 0 the aligned part of the gradient decides, from a dozen blocks on."""
    logs, expected, _ = compared(act, 1.5, depth=depth, block="residual")
    hold(logs, expected, total=0.03)


def test_small_batches():
    # The first and the last layer are 0.1 off, and a draw scatters by 0.1: the mean of 48 is known to 0.015.
    logs, expected, _ = compared("relu", 2.0, seeds=48, batch=8, norm="batch")
    assert geometric_mean(logs[:, 1:-1]) == pytest.approx(batchnorm_gain("relu", 8), rel=0.05)
    hold(logs, expected)
    logs, expected, _ = compared("tanh", 2.0, seeds=8, batch=16, norm="batch")  # between theorem 8 and large batches
    hold(logs, expected)


def test_batchnorm_of_leaky_relu():
    """The finite-batch rate of leaky ReLU, derived here from the mixture of kernels; eps = 0."""
    slope = {"act": activation("leaky_relu", negative_slope=0.3), "norm": "batch", "norm_eps": 1e-12}
    logs = log_ratios(mlp(16, 384, **slope), range(6), sigma_w2=2.0, batch=8, width=384)
    rate = batchnorm_gain(slope["act"](), 8)
    assert 1.2 < rate < batchnorm_gain("relu", 8) - 0.3
    assert geometric_mean(logs[:, 4:-1]) == pytest.approx(rate, rel=0.03)


def test_unequal_widths_and_biases():
    hidden = [96, 400, 200, 300]
    build = lambda: mlp(0, 256, hidden=hidden, act="tanh", bias=True)()  # noqa: E731
    fans = list(zip([256, *hidden], [*hidden, 256], strict=True))
    sizes = [2.0, 1.2, 3.0, 0.7, 2.5]
    logs = []
    for seed in range(8):
        torch.manual_seed(seed)
        net = build()
        for layer, size in zip(linears(net), sizes, strict=True):
            draw_(layer, size, 0.1)
        found, q1 = squares(net, torch.randn(64, 256), lambda out: (out * torch.randn_like(out)).sum())
        logs.append(-found.log().diff())
    layers = [Stage("tanh", size, 0.1, fan_in=i, fan_out=o) for size, (i, o) in zip(sizes, fans, strict=True)]
    layers[-1] = Stage(None, sizes[-1], 0.1, fan_in=300, fan_out=256)
    expected = torch.tensor([math.log(layer.gain) for layer in predict(layers, q1)[:-1]])
    hold(torch.stack(logs), expected)


def test_projections_are_shortcuts():
    """Widths that differ: the shortcut is a linear of its own, with Gaussian weights here."""
    hidden = [200, 300, 300]
    logs = log_ratios(lambda: mlp(0, 256, hidden=hidden, act="tanh", block="residual")(), range(8), sigma_w2=1.5)
    fans = zip([256, 200, 300], hidden, strict=True)
    layers = [Stage("tanh", 1.5, block="residual", fan_in=i, fan_out=o, shortcut_w2=1.5) for i, o in fans]
    found = predict([*layers, Stage(None, 1.5, fan_in=300, fan_out=256)], q1=1.5)
    hold(logs, torch.tensor([math.log(layer.gain) for layer in found[:-1]]), layer=0.1)


def test_scaled_branches():
    """ReZero's nets, whose alpha has grown to 0.5."""
    settings = {"norm": "layer", "norm_position": "before_linear"}

    def build():
        net = mlp(6, WIDTH, act="relu", block="rezero", **settings)()
        for layer in net.layers:
            layer.alpha.data.fill_(0.5)
        return net

    logs = log_ratios(build, range(4), sigma_w2=2.0, batch=BATCH)
    found = predict(stages("relu", 2.0, 6, block="residual", branch_scale=0.5, **settings), q1=2.0)
    hold(logs, torch.tensor([math.log(layer.gain) for layer in found[:-1]]))


def test_no_number_where_theory_has_none():
    assert predict(stages("relu", 2.0, 2, block="residual", branch_scale=0.0), q1=2.0) == [None] * 3  # ReZero
    known, unknown = stages("relu", 2.0, 2)[0], stages("relu", 2.0, 1, norm="group")[0]
    assert [p is None for p in predict([known, known, unknown, known], q1=2.0)] == [False, True, True, True]
    assert predict(stages("exponential", 2.0, 8), q1=2.0)[-2] is None
    assert predict(stages(torch.sign, 2.0, 3), q1=2.0) == [None] * 4  # its slope is 0
    assert predict([], q1=1.0) == []
    assert predict([known], q1=1.0) == [None]


def test_batchnorm_forgets_the_weights_size():
    small, large = (predict(stages("relu", s, 4, norm="batch"), q1=s, batch_size=32) for s in (0.01, 100.0))
    assert [p.gain for p in small[1:3]] == pytest.approx([p.gain for p in large[1:3]])
    assert small[1].gain == pytest.approx(batchnorm_gain("relu", 32))


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "identity"])
def test_scatter_of_one_sample(act):
    """900 draws of two layers, one sample: the tails are heavy, and the sd itself is known to 3.5 %."""
    logs = log_ratios(mlp(2, 128, act=act), range(900), sigma_w2=1.0, batch=1, width=128)[:, 0]
    # h is random as well, so that the slopes' scatter around a given q is not all; the input fixes it to 1.
    assert logs.std().item() == pytest.approx(log_scatter(act, 1.0, 128), rel=0.12)
    assert predict(stages(act, 1.0, 2, 128), q1=1.0)[0].scatter == pytest.approx(log_scatter(act, 1.0, 128), rel=1e-6)


def test_scatter_of_a_residual_block():
    net = {"act": "relu", "block": "residual", "norm": "layer", "norm_position": "before_linear"}
    logs, _, scatter = compared(sigma_w2=2.0, seeds=900, batch=1, depth=4, width=96, **net)
    assert (logs.std(0) / scatter)[:3].mean().item() == pytest.approx(1.0, abs=0.08)  # known to 2.5 %


def test_a_batch_scatters_less_than_one_sample():
    logs, expected, scatter = compared("relu", 2.0)
    assert (logs - expected).square().mean().sqrt() < scatter.mean()


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("plain", {"act": "relu"}),
        ("layer", {"act": "relu", "norm": "layer"}),
        ("batch", {"act": "relu", "norm": "batch"}),
        ("two", {"act": "relu", "linears": 2}),
        ("tanh", {"act": "tanh", "sigma_w2": 1.0}),
    ],
)
def test_preactivation_blocks(name, settings):
    """``x + W phi(norm(x))``, which this project's nets do not have: written out."""
    blocks, width, batch = 8, 320, 48
    norms = {
        None: lambda x: x,
        "layer": lambda x: torch.nn.functional.layer_norm(x, x.shape[1:]),
        "batch": lambda x: torch.nn.functional.batch_norm(x, None, None, training=True),
    }
    phi, norm = activation(settings["act"])(), norms[settings.get("norm")]
    sd = math.sqrt(settings.get("sigma_w2", 2.0) / width)
    logs = []
    for seed in range(4):
        torch.manual_seed(seed)
        x = start = torch.randn(batch, width).requires_grad_()
        for _ in range(blocks):
            branch = norm(x)
            for _ in range(settings.get("linears", 1)):
                branch = phi(branch) @ (torch.randn(width, width) * sd)
            x = x + branch
        direction = torch.randn_like(x)
        x.backward(direction)
        logs.append((start.grad.square().sum() / direction.square().sum()).log())
    assert geometric_mean(logs) == pytest.approx(math.prod(residual_growth(blocks=blocks, **settings)), rel=0.1)
