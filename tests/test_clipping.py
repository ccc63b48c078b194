import math

import pytest
import torch
from torch import nn

from gradvitals.clipping import clip_adaptive_, clip_per_parameter_, percentile_threshold


def parameter(weight: list, gradient: list) -> nn.Parameter:
    p = nn.Parameter(torch.tensor(weight))
    p.grad = torch.tensor(gradient)
    return p


def test_per_parameter_by_hand():
    # Norms 5 and 0.5: the first is scaled by 1/5, the second is left; the global norm would scale both.
    long, short = parameter([0.0, 0.0], [3.0, 4.0]), parameter([0.0, 0.0], [0.3, 0.4])
    clip_per_parameter_([long, short, nn.Parameter(torch.zeros(1))], 1.0)
    torch.testing.assert_close(long.grad, torch.tensor([0.6, 0.8]))
    torch.testing.assert_close(short.grad, torch.tensor([0.3, 0.4]))


def test_per_parameter_keeps_each_direction():
    before = torch.randn(20, 30) * 10
    p = parameter(torch.zeros(20, 30).tolist(), before.tolist())
    clip_per_parameter_([p], 1.0)
    assert torch.cosine_similarity(p.grad.flatten(), before.flatten(), dim=0) == pytest.approx(1, abs=1e-6)


def test_adaptive_works_row_by_row():
    # Row norms of W: 5 and 0 (taken as eps = 1e-3); of G: 1 and 1. Limits at ratio 0.1: 0.5 and 1e-4.
    p = parameter([[3.0, 4.0], [0.0, 0.0]], [[0.6, 0.8], [1.0, 0.0]])
    clip_adaptive_([p], ratio=0.1)
    torch.testing.assert_close(p.grad, torch.tensor([[0.3, 0.4], [1e-4, 0.0]]), atol=1e-6, rtol=1e-4)


def test_adaptive_leaves_small_gradients():
    p = parameter([[3.0, 4.0]], [[0.003, 0.004]])
    clip_adaptive_([p], ratio=0.01)
    torch.testing.assert_close(p.grad, torch.tensor([[0.003, 0.004]]))


def test_adaptive_takes_a_bias_as_one_unit_and_a_filter_as_a_row():
    bias = parameter([3.0, 4.0], [6.0, 8.0])
    kernel = nn.Parameter(torch.ones(2, 1, 2, 2))  # each filter has norm 2
    kernel.grad = torch.ones(2, 1, 2, 2)
    clip_adaptive_([bias, kernel], ratio=0.1)
    assert bias.grad.norm() == pytest.approx(0.5, rel=1e-5)
    assert kernel.grad[0].norm() == pytest.approx(0.2, rel=1e-5)


@pytest.mark.parametrize(("percentile", "expected"), [(0.001, 1.0), (50, 3.0), (75, 4.0), (100, 5.0), (12.5, 1.5)])
def test_percentile_by_hand(percentile, expected):
    assert percentile_threshold([1.0, 2.0, 3.0, 4.0, 5.0], percentile) == pytest.approx(expected, abs=1e-3)


def test_percentile_of_nothing_does_not_clip():
    assert percentile_threshold([], 10) == math.inf
