"""Norms that neither under- nor overflow, and what is made of them."""

import math

import pytest
import torch

from gradvitals.vitals import NoiseScale, cosine, dot, histogram, joint_norm, norm, norms, sums, total
from gradvitals.vitals.norms import LatestSums


@pytest.mark.parametrize("size", [1e-30, 1e-23, 1.0, 1e19, 1e30])
def test_norms_of_the_very_small_and_the_very_large(size):
    # Four entries of that size: 2 x size, where float32 squares are 0 or infinite.
    entries = torch.full((4,), size)
    for found in (norms([entries])[0], norm(entries), joint_norm([entries, torch.zeros(2)])):
        assert found.item() == pytest.approx(2 * entries[0].double().item(), rel=1e-12)
    assert sums(entries)[1].item() == pytest.approx(4 * entries[0].double().item() ** 2, rel=1e-12)


def test_many_entries_keep_their_digits():
    # 1e7 ones: torch's float32 norm is wrong in the fourth digit on a processor.
    ones = torch.ones(10_000_000)
    assert norm(ones).item() == math.sqrt(1e7)
    assert sums(ones)[1].item() == pytest.approx(1e7, rel=1e-12)


def test_sums_are_remembered_until_the_tensor_changes():
    latest, x = LatestSums(), torch.ones(3)
    assert latest(x) is latest(x)
    x.mul_(2)  # in place, as the ReLU of many networks works
    assert latest(x)[0].item() == 6.0


def test_joint_norm_is_that_of_all_entries():
    tensors = [torch.randn(3, 4), torch.randn(7), torch.randn(5000), torch.eye(3).to_sparse()]
    expected = torch.cat([t.to_dense().flatten() for t in tensors]).norm()
    assert joint_norm(tensors).item() == pytest.approx(expected.item(), rel=1e-6)
    assert joint_norm(tensors[:2]).item() == pytest.approx(total(norms(tensors[:2])).item())


def test_sparse_gradients_of_different_rows():
    a = torch.sparse_coo_tensor([[0, 1]], torch.tensor([[1.0, 2.0], [3.0, 4.0]]), (5, 2), check_invariants=True)
    b = torch.sparse_coo_tensor([[1, 3]], torch.tensor([[10.0, 1.0], [7.0, 7.0]]), (5, 2), check_invariants=True)
    assert dot([a], [b]).item() == 3 * 10 + 4 * 1
    assert cosine([a], [a]).item() == pytest.approx(1)


def test_noise_scale_of_known_noise():
    # Gradients G + noise of covariance s^2 / B: tr(S) = n s^2, |G|^2 = n g^2.
    generator, n, g, s, batch = torch.Generator().manual_seed(0), 2000, 0.5, 3.0, 16
    scale = NoiseScale(keep=0.98)

    def gradient():
        return [g + s / batch**0.5 * torch.randn(n, generator=generator)]

    for _ in range(400):
        scale.add(gradient(), gradient(), samples=batch)
    assert scale.value.item() == pytest.approx((s / g) ** 2, rel=0.05)


def test_histograms_survive_what_is_not_finite():
    found = histogram(torch.tensor([1.0, 2.0, math.nan, math.inf, -math.inf]), bins=4)
    assert (found.counts, found.non_finite) == ([1.0, 0.0, 0.0, 1.0], 3)
    assert histogram(torch.full((3,), math.nan)).non_finite == 3
    constant = histogram(torch.ones(5), bins=2)
    assert sum(constant.counts) == 5
    assert constant.edges == [0.5, 1.0, 1.5]
