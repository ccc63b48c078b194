import math

import pytest
import torch
from torch import nn

from gradvitals.activations import ACTIVATIONS, activation, gain, gaussian_mean


def test_quadrature_by_hand():
    # E[z^2] = 1; E[relu(z)^2] = 1/2; E[exp(2z)] = exp(2); P(z > 1) by the error function.
    assert gaussian_mean(lambda z: z**2) == pytest.approx(1, abs=1e-12)
    assert gaussian_mean(lambda z: z.clamp(min=0) ** 2) == pytest.approx(0.5, abs=1e-12)
    assert gaussian_mean(lambda z: (2 * z).exp()) == pytest.approx(math.exp(2), rel=1e-10)
    tail = 0.5 * math.erfc(1 / math.sqrt(2))
    assert gaussian_mean(lambda z: (z > 1).double(), kinks=(1.0,)) == pytest.approx(tail, abs=1e-12)


@pytest.mark.parametrize("name", [n for n, a in ACTIVATIONS.items() if a.family == "rectifier"])
def test_gain_of_a_rectifier_keeps_the_mean_square(name):
    # Variance gain^2 / fan_in gives q' = gain^2 E[f(z)^2] = 1 at q = 1.
    module = activation(name)()
    z = torch.randn(2_000_000, generator=torch.Generator().manual_seed(1))
    mean_square = float(module(z).detach().double().pow(2).mean())
    noise = 0.15 if name == "exponential" else 0.01  # exp(2z) has a heavy tail
    assert gain(name) ** 2 * mean_square == pytest.approx(1, rel=noise)


def test_gelu_gain_is_the_lsuv_scale():
    # LSUV at q = 1 gives GELU sigma_w^2 = 2.3517 (Mishkin & Matas, 2016; recomputed by quadrature).
    assert gain("gelu") ** 2 == pytest.approx(2.3517, abs=1e-4)


@pytest.mark.parametrize(("name", "known"), [("relu", 2**0.5), ("tanh", 5 / 3), ("sigmoid", 1.0), ("selu", 1.0)])
def test_gain_where_it_is_known(name, known):
    assert gain(name) == pytest.approx(known)


def test_leaky_gain_knows_its_slope():
    assert gain("leaky_relu", negative_slope=0.2) == pytest.approx((2 / 1.04) ** 0.5)


def test_hardtanh_gain_by_hand():
    # Cut off far out, hardtanh is the identity, E[z^2] = 1; at +-1, E = P(|z|>1) + E[z^2; |z|<1] = 0.3173 + 0.1987.
    assert gain("hardtanh", min_val=-9.0, max_val=9.0) == pytest.approx(1, abs=1e-9)
    assert gain("hardtanh") == pytest.approx((0.317311 + 0.198748) ** -0.5, abs=1e-5)


def test_each_call_makes_a_module_of_its_own():
    make = activation("prelu")
    assert make().weight is not make().weight


def test_unknown_name_offers_the_closest():
    with pytest.raises(ValueError, match=r"expected one of .*relu.*; got 'rellu'"):
        activation("rellu")


def test_foreign_parameter_lists_those_it_takes():
    with pytest.raises(ValueError, match="act=leaky_relu takes negative_slope; got alpha"):
        activation("leaky_relu", alpha=0.3)


def test_parameter_reaches_the_module():
    assert isinstance(activation("elu", alpha=0.5)(), nn.ELU)
    assert activation("elu", alpha=0.5)().alpha == 0.5
