"""Numbers that fit on the back of an envelope, the limits, and what is refused."""

import math

import pytest
import torch
from torch import nn

from gradvitals.activations import ACTIVATIONS, activation
from gradvitals.theory import (
    Stage,
    batchnorm_gain,
    born_dead,
    chi,
    correlation_depth,
    correlation_map,
    critical_sigma_w2,
    dense_growth,
    fixed_point,
    gain,
    kurtosis,
    layernorm_gain,
    log_scatter,
    mean,
    predict,
    relu_log_moments,
    residual_growth,
    second_moment,
    slope_moment,
    trajectory,
    variance,
    variance_map,
    weight_gain,
)
from gradvitals.theory.aligned_signal import Gradient, Signal, block_step, isotropic
from gradvitals.theory.gaussian_moments import _named


def test_relu_halves_what_passes():
    for q in (1e-8, 0.3, 1.0, 1e8):
        assert second_moment("relu", q) == pytest.approx(q / 2, rel=1e-12)
        assert chi("relu", q, 2.0) == pytest.approx(1.0, rel=1e-12)
    assert variance_map("relu", 3.0, 2.0, 0.25) == pytest.approx(3.25)
    assert mean("relu", 4.0) == pytest.approx(2 / math.sqrt(2 * math.pi))
    assert variance("relu") == pytest.approx((1 - 1 / math.pi) / 2)


def test_identity_passes_all():
    assert gain("identity", 0.7) == pytest.approx(0.7)
    assert second_moment(None, 3.0) == pytest.approx(3.0)
    assert batchnorm_gain("identity") == pytest.approx(1.0)
    assert layernorm_gain("identity") == pytest.approx(1.0)
    assert layernorm_gain("identity", "post", 5.0) == pytest.approx(1.0)
    assert kurtosis("identity") == pytest.approx(1.0)
    assert correlation_map("identity", 0.3, 1.5, 0.5, q=1.0) == pytest.approx((0.45 + 0.5) / 2)


def closed_forms():
    def erf(q):
        return 2 / math.pi * math.asin(2 * q / (1 + 2 * q)), 4 / math.pi / math.sqrt(1 + 4 * q)

    def hardtanh(q):  # inside (-1, 1) the square of a normal, outside 1
        inside = math.erf(1 / math.sqrt(2 * q))
        density = math.exp(-1 / (2 * q)) / math.sqrt(2 * math.pi)
        return q * inside - 2 * math.sqrt(q) * density + 1 - inside, inside

    def exponential(q):
        return math.exp(2 * q), math.exp(2 * q)

    def relu(q):
        return q / 2, 0.5

    for q in (1e-6, 1e-2, 1.0, 30.0, 1e4, 1e8):
        for name, form in {"erf": erf, "hardtanh": hardtanh, "relu": relu, "exponential": exponential}.items():
            if name != "exponential" or q <= 1:
                yield pytest.param(name, q, form(q), id=f"{name} {q:g}")


@pytest.mark.parametrize(("name", "q", "expected"), list(closed_forms()))
def test_closed_forms_at_all_sizes(name, q, expected):
    # Differences of the closed forms themselves cancel at both ends.
    assert (second_moment(name, q), slope_moment(name, q)) == pytest.approx(expected, rel=1e-8, abs=1e-14)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"exponential"}))
@pytest.mark.parametrize("q", [1e-4, 1.0, 1e4])
def test_quadrature_of_every_activation(name, q):
    """Against plain sums: equal steps over the bend and over the bell."""
    phi, scale = activation(name)().double(), math.sqrt(q)
    h = torch.cat([torch.linspace(-40, 40, 400_001), torch.linspace(-9 * scale, 9 * scale, 400_001)]).double()
    h = h[h.abs() <= 9 * scale].unique().requires_grad_()
    value = phi(h)
    (slopes,) = torch.autograd.grad(value.sum(), h)
    density = torch.exp(-(h.detach() ** 2) / (2 * q)) / math.sqrt(2 * math.pi * q)
    for found, f in ((second_moment(name, q), value.detach() ** 2), (slope_moment(name, q), slopes**2)):
        # The steps' own error is 1e-5 where a slope jumps.
        assert found == pytest.approx(torch.trapezoid(f * density, h.detach()).item(), rel=1e-4)


def test_a_callable_is_its_name():
    for act in ("tanh", "elu", "selu", "leaky_relu", "prelu", "sigmoid"):
        module = activation(act)()
        assert chi(module, 0.7, 1.3) == pytest.approx(chi(act, 0.7, 1.3), rel=1e-7)  # prelu's slope is a float32
        assert next(iter(module.parameters()), torch.zeros(1)).dtype == torch.float32
    assert chi(torch.tanh, 0.7, 1.3) == chi("tanh", 0.7, 1.3)
    slope = activation("leaky_relu", negative_slope=0.2)()
    assert fixed_point(slope, 2 / 1.04) == pytest.approx((1.0, 1.0))
    learnt = nn.PReLU()
    before = correlation_map(learnt, 0.0, 2.0, q=1.0)
    learnt.weight.data.fill_(1.0)  # now linear: uncorrelated stays uncorrelated
    assert before > 0.05
    assert correlation_map(learnt, 0.0, 2.0, q=1.0) == pytest.approx(0.0, abs=1e-12)


def test_limits_are_not_errors():
    assert fixed_point("exponential", 1.0) == (math.inf, math.inf)
    assert gain("exponential", 1.0) == math.inf
    assert fixed_point("tanh", 1.0) == (0.0, 1.0)
    assert fixed_point("relu", 1.0) == pytest.approx((0.0, 0.5))
    assert fixed_point("relu", 2.5) == pytest.approx((math.inf, 1.25))
    assert fixed_point("relu", 2.0) == pytest.approx((1.0, 1.0))
    assert fixed_point("relu", 1.0, 0.5) == pytest.approx((1.0, 0.5))
    assert fixed_point("selu", 2.0) == pytest.approx((math.inf, 1.1040), rel=1e-4)
    assert fixed_point("softplus", 2.0)[0] == math.inf
    assert fixed_point("gelu", 2.0) == pytest.approx((0.0, 0.5))
    assert fixed_point("gelu", 0.0) == (0.0, 0.0)
    assert variance_map("tanh", math.inf, 2.0) == pytest.approx(2.0)
    assert variance_map("relu", math.inf, 2.0) == math.inf
    assert chi("relu", 0.0, 2.0) == pytest.approx(1.0)
    assert variance_map("softplus", 0.0, 1.0) == pytest.approx(math.log(2) ** 2)
    assert gain(torch.sign, 1.0) == 0.0  # its slope is 0


def test_fixed_points_are_fixed():
    for act in ("tanh", "sigmoid", "erf", "softsign", "hardtanh", "selu", "gelu"):
        for sigma_w2, sigma_b2 in ((0.5, 0.1), (1.0, 0.01), (0.01, 1e-6)):
            q, factor = fixed_point(act, sigma_w2, sigma_b2)
            assert variance_map(act, q, sigma_w2, sigma_b2) == pytest.approx(q, rel=1e-9)
            assert chi(act, q, sigma_w2) == factor


def test_criticality():
    assert correlation_depth("relu", 2.0, 0.0) == (math.inf, math.inf)
    assert correlation_depth("tanh", 1.0, 0.0) == (math.inf, math.inf)
    assert correlation_depth("relu", 1.0, 0.1) == pytest.approx((1 / math.log(2),) * 2)
    assert correlation_depth("relu", 2.5, 0.0)[1] == pytest.approx(1 / math.log(1.25))
    assert critical_sigma_w2("relu", 0.1) == math.inf
    for sigma_w2 in (1.9, 2.5, 6.0):
        xi_c, xi_grad = correlation_depth("tanh", sigma_w2, 0.05)
        assert math.isfinite(xi_c + xi_grad)
        assert xi_c > xi_grad
    # Just above the edge a map that leaves 1 with slope 1 + e comes to rest with slope 1 - e.
    xi_c, xi_grad = correlation_depth("tanh", critical_sigma_w2("tanh", 0.05) * 1.005, 0.05)
    assert xi_c == pytest.approx(xi_grad, rel=0.05)


def test_correlation_map_ends():
    for act in ("relu", "tanh", "gelu", "sigmoid"):
        assert correlation_map(act, 1.0, 1.5, 0.1, q=0.8) == pytest.approx(1.0, abs=1e-12)
        c0 = correlation_map(act, 0.0, 1.5, 0.1, q=0.8)
        expected = (1.5 * mean(act, 0.8) ** 2 + 0.1) / variance_map(act, 0.8, 1.5, 0.1)
        assert c0 == pytest.approx(expected, abs=1e-12)
    for c in (-1.0, -0.5, 0.5, 0.9):  # Cho & Saul (2009)
        arc_cosine = (math.sqrt(1 - c**2) + (math.pi - math.acos(c)) * c) / math.pi
        assert correlation_map("relu", c, 2.0, q=3.0) == pytest.approx(arc_cosine, abs=1e-6)


def test_poincare():
    """Yang et al. (2019), theorem 9: with BatchNorm no activation lets the gradient vanish, and none but straight ones keeps it."""
    for act in sorted(ACTIVATIONS):
        assert batchnorm_gain(act) >= 1 - 1e-12
        assert (batchnorm_gain(act) < 1 + 1e-9) == (act == "identity")


def test_batchnorm_of_two_slopes():
    shallow = activation("leaky_relu", negative_slope=0.5)()
    for batch in (4, 8, 64):
        rates = [batchnorm_gain(act, batch) for act in ("identity", shallow, "leaky_relu", "relu")]
        assert rates == sorted(rates)
    assert batchnorm_gain(activation("leaky_relu", negative_slope=1.0)(), 8) == pytest.approx(6 / 5)
    assert batchnorm_gain(activation("leaky_relu", negative_slope=0.0)(), 8) == batchnorm_gain("relu", 8)
    assert batchnorm_gain(shallow, 10**7) == pytest.approx(batchnorm_gain(shallow), rel=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: batchnorm_gain("tanh", 32), "relu, leaky_relu or identity; got 'tanh'"),
        (lambda: batchnorm_gain("relu", 3), "at least 4"),
        (lambda: layernorm_gain("relu", "middle"), "pre, post; got 'middle'"),
        (lambda: residual_growth("relu", 3, norm="group"), "None, layer, batch; got 'group'"),
        (lambda: gain("relu", 2.0, depth=1), "at least 2"),
        (lambda: chi("reluu", 1.0, 2.0), "relu"),
        (lambda: correlation_map("relu", 0.5, 1.0), "converges to none"),
    ],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_gain_is_the_mean_of_the_trajectory():
    qs = trajectory("tanh", 1.7, 0.03, 2.0, depth=5)
    assert qs[1] == pytest.approx(1.7 * second_moment("tanh", 2.0) + 0.03)
    factors = [chi("tanh", q, 1.7) for q in qs[:4]]
    assert gain("tanh", 1.7, 0.03, 2.0, depth=5) == pytest.approx(math.prod(factors) ** 0.25)
    # |dW_1|^2 / |dW_5|^2 = |delta_1|^2 / |delta_5|^2 times |x|^2 / |phi(h_4)|^2
    inputs = (2.0 - 0.03) / 1.7 / second_moment("tanh", qs[3])
    assert weight_gain("tanh", 1.7, 0.03, 2.0, depth=5) == pytest.approx((math.prod(factors) * inputs) ** 0.25)


def test_shortcuts_by_hand():
    assert residual_growth("identity", 2, 0.5) == pytest.approx([1.5, 1.5])
    assert residual_growth("relu", 2, 2.0, alpha=0.5) == pytest.approx([1.25, 1.25])
    # q: 1, 1 + 1 - 1/pi; each block adds what its input's variance shares.
    assert residual_growth("relu", 2, norm="batch") == pytest.approx([2.0, 1 + 1 / (2 - 1 / math.pi)])
    assert residual_growth("relu", 2, 1.0, linears=2) == pytest.approx([1.25, 1.25])
    assert dense_growth("relu", 30, 10, 2, sigma_w2=4.0) == pytest.approx([1.25, 1.2])


@pytest.mark.parametrize("act", ["relu", "leaky_relu", "identity"])
def test_euler_fixes_the_aligned_part(act):
    """``x . dL/dx`` is the same before and after a block that is homogeneous."""
    x, scale, sigma_w2 = Signal(1.3, 0.4), 0.7, 1.5
    value, square = mean(act, sigma_w2 * x.square), second_moment(act, sigma_w2 * x.square)
    out = Signal(x.square + scale**2 * square + 2 * scale * x.mean * value, x.mean + scale * value)
    _, before = block_step(act, scale, sigma_w2, x, out, 100, Gradient(0.0, 2.0))
    assert before.aligned * x.square == pytest.approx(2.0 * out.square)
    delta, before = block_step(
        act, scale, sigma_w2, x, out, 10**12, isotropic(1.0, 10**12)
    )  # what little is aligned is lost
    assert delta == pytest.approx(scale**2 * slope_moment(act))
    assert before.total == pytest.approx(1 + sigma_w2 * delta)


def test_aligned_gradient_of_a_linear_block():
    """|(1 + W^T)(1 + W) x|^2 of a square Gaussian W, whose W^T W has moments s and 2 s^2: 1 + 4 s + 2 s^2."""
    s = 0.6
    _, before = block_step(None, 1.0, s, Signal(1.0, 0.0), Signal(1 + s, 0.0), 1000, Gradient(0.0, 1 + s))
    assert before.total == pytest.approx(1 + 4 * s + 2 * s**2)


def test_a_deep_prediction_stays_in_range():
    stages = [Stage("relu", 2000.0, fan_in=64, fan_out=64)] * 120
    assert predict(stages, q1=1e-200)[0].gain == pytest.approx(1000.0)  # 1e360 in all


def test_dead_by_hand():
    assert born_dead(1, 1) == pytest.approx(0.5)
    assert born_dead(2, 2) == pytest.approx(1 - 0.75**2)
    assert born_dead(100, 10) == pytest.approx(10 * 2.0**-100)


def test_scatter_by_hand():
    assert log_scatter("identity", 1.0, 200) == pytest.approx(0.1)  # chi-square: 2 / n
    # One unit, open: log(2 z^2), of mean -gamma and variance pi^2 / 2.
    mean_log, variance_log = relu_log_moments(1)
    assert mean_log == pytest.approx(-0.5772156649)
    assert variance_log == pytest.approx(math.pi**2 / 2)
    for width in (64, 512, 4096):
        _, exact = relu_log_moments(width)
        assert log_scatter("relu", 1.0, width) == pytest.approx(exact**0.5, rel=0.05)


@pytest.mark.parametrize("act", [torch.relu_, nn.ReLU(inplace=True)])
def test_an_activation_in_place_counts_as_the_function_it_computes(act):
    assert fixed_point(act, 1.5, 0.1) == fixed_point("relu", 1.5, 0.1)
    assert batchnorm_gain(act, 32) == batchnorm_gain("relu", 32)
    stages = [Stage(a, 2.0, block="residual", fan_in=16, fan_out=16) for a in (act, "relu")]
    expected, found = (predict([stage] * 3, q1=2.0) for stage in stages)
    assert found == expected


def test_theory_in_inference_mode():
    expected = correlation_depth("prelu", 1.0, 0.05), batchnorm_gain("prelu")
    _named.cache_clear()
    with torch.inference_mode():
        assert (correlation_depth("prelu", 1.0, 0.05), batchnorm_gain("prelu")) == expected
    assert (correlation_depth("prelu", 1.0, 0.05), batchnorm_gain("prelu")) == expected  # nothing of that mode is kept
