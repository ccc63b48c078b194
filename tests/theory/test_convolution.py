"""Signals and gradients in networks of convolutions, by hand."""

import math

import pytest
import torch

from gradvitals.theory import mean, second_moment, slope_moment
from gradvitals.theory.convolution import Convolution, transposed
from gradvitals.theory.gradient_map import GradientMap, chosen, joined
from gradvitals.theory.signal_map import Sampler, SignalMap, added, after_act, normalized, scaled, slopes

NINE = torch.full((3, 3), 1 / 9, dtype=torch.float64)


def ones(*shape: int) -> torch.Tensor:
    return torch.ones(shape, dtype=torch.float64)


def test_a_kernel_of_one_pixel_is_a_linear_layer():
    square = torch.arange(1.0, 5.0, dtype=torch.float64).reshape(2, 2)
    pixel = Convolution(torch.full((1, 1), 1.7, dtype=torch.float64), padding=(0, 0))
    assert torch.allclose(pixel(square), 1.7 * square)
    assert torch.allclose(Convolution(torch.tensor(1.7, dtype=torch.float64))(square), 1.7 * square)


def test_a_circular_convolution_keeps_a_constant_map():
    kept = Convolution(NINE, padding=(1, 1), mode="circular")
    assert torch.allclose(kept(ones(4, 5)), ones(4, 5))
    assert torch.allclose(Convolution(NINE, padding="same", dilation=(1, 1), mode="circular")(ones(4, 5)), ones(4, 5))
    assert torch.allclose(transposed(kept, (4, 5), ones(4, 5)), ones(4, 5))


def test_zero_padding_takes_from_the_border():
    found = Convolution(NINE, padding=(1, 1))(ones(3, 3))
    assert found.flatten().tolist() == pytest.approx([4 / 9, 6 / 9, 4 / 9, 6 / 9, 1.0, 6 / 9, 4 / 9, 6 / 9, 4 / 9])


def test_a_stride_takes_each_tap_to_a_quarter_of_the_pixels():
    halved = Convolution(NINE, stride=(2, 2), padding=(1, 1), mode="circular")
    assert torch.allclose(halved(ones(4, 4)), ones(2, 2))
    back = transposed(halved, (4, 4), ones(2, 2))
    assert back.sum().item() == pytest.approx(4.0)  # as much as was there, over four times the pixels
    assert back[0, 0].item() == pytest.approx(1 / 9)  # reached by the middle tap alone
    assert back[1, 1].item() == pytest.approx(4 / 9)  # by the four corners


def test_only_the_middle_tap_of_a_delta_orthogonal_kernel():
    taps = torch.zeros(3, 3, dtype=torch.float64)
    taps[1, 1] = 1.0
    square = torch.rand(5, 5, dtype=torch.float64)
    assert torch.allclose(Convolution(taps, padding=(1, 1))(square), square)


@pytest.mark.parametrize("act", ["relu", "tanh", "gelu", "sigmoid", "elu"])
@pytest.mark.parametrize("q", [0.3, 1.0, 4.0])
def test_a_sample_has_the_moments_of_a_normal_variable(act, q):
    signal = Sampler().normal(q * ones(2), 0.0)
    after = after_act(act, signal)
    assert after.mean_square == pytest.approx(second_moment(act, q), rel=0.01)
    assert after.common == pytest.approx(mean(act, q) ** 2, rel=0.01, abs=2e-3)
    by_position, by_value = slopes(act, signal)
    assert by_position.tolist() == pytest.approx([slope_moment(act, q)] * 2, rel=0.01)
    assert by_value.mean().item() == pytest.approx(slope_moment(act, q), rel=0.01)


def test_sizes_that_differ_by_position_are_interpolated():
    square = torch.logspace(-3, 1, 9, dtype=torch.float64)
    signal = Sampler().normal(square, 0.0)
    expected = [second_moment("tanh", q) for q in square.tolist()]
    assert after_act("tanh", signal).square.tolist() == pytest.approx(expected, rel=0.02)
    expected = [slope_moment("tanh", q) for q in square.tolist()]
    assert slopes("tanh", signal)[0].tolist() == pytest.approx(expected, rel=0.02)


def test_the_sum_of_two_normal_signals():
    sampler = Sampler()
    a, b = sampler.normal(ones(2), 0.0), sampler.normal(3 * ones(2), 0.0)
    total = added(a, b, sampler.order())
    assert total.square.tolist() == pytest.approx([4.0, 4.0], rel=0.01)
    assert total.values.square().mean().item() == pytest.approx(4.0, rel=0.02)
    relu = after_act("relu", a)  # of mean .4, so that two of them have a common part
    assert added(relu, relu, sampler.order()).mean_square == pytest.approx(1 + 1 / math.pi, rel=0.01)


def test_a_norm_takes_what_a_channel_has_in_common():
    after, factor = normalized(Sampler().normal(4 * ones(2), 3.0), 0.0)
    assert (after.mean_square, after.common) == pytest.approx((1.0, 0.0), abs=1e-9)
    assert factor.mean().item() == pytest.approx(1.0, rel=0.05)  # the variance that is left
    assert scaled(after, 0.5).mean_square == pytest.approx(0.25)


def test_two_rectifiers_cut_the_same_values_only_where_no_weights_are_between():
    signal = Sampler().normal(ones(3), 0.0)
    gradient = GradientMap.even(ones(3))
    once = gradient.times(*slopes("relu", signal))
    assert once.total == pytest.approx(1.5)
    assert once.times(*slopes("relu", signal)).total == pytest.approx(1.5)
    assert GradientMap.even(once.square).times(*slopes("relu", signal)).total == pytest.approx(0.75)


def test_gradients_of_two_uses_add_up():
    relu = GradientMap.even(ones(2)).times(*slopes("relu", Sampler().normal(ones(2), 0.0)))
    both = joined([relu, GradientMap.even(3 * ones(2))])
    assert both.total == pytest.approx(7.0)
    assert sorted(both.shares.unique().tolist()) == pytest.approx([6 / 7, 8 / 7])  # 3 / 3.5, and (3 + 1) / 3.5


def test_a_maximum_of_two_chooses_the_larger_more_often():
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randn(2, 128, 128, generator=generator, dtype=torch.float64)
    signal = Sampler().normal(ones(2), 0.0)
    shares = chosen(signal, pairs[0], pairs.amax(0))
    found = GradientMap(ones(2), shares).times(*slopes("relu", signal)).total / 2
    assert found == pytest.approx(0.75, abs=0.02)  # at least one of two is positive
    assert chosen(signal, 0 * ones(4, 4), 0 * ones(4, 4)).mean().item() == pytest.approx(1.0)


def test_shares_by_channel():
    shares = ones(128, 128)
    shares[::2] = 3.0
    found = GradientMap(ones(1), shares / 2)
    assert found.by_channel(4).tolist() == pytest.approx([1.5, 0.5, 1.5, 0.5])
    assert len(found.by_channel(512)) == 128  # as many as the sample has


def test_a_signal_that_is_zero_ends_nothing():
    silent = SignalMap(torch.zeros(2, dtype=torch.float64), torch.zeros(128, 128, dtype=torch.float64))
    assert after_act("relu", silent).mean_square == 0.0
    assert normalized(silent, 1e-5)[0].mean_square == 0.0
