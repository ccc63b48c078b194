import torch

from gradvitals.data.noise import Noise


def test_the_draw_is_the_seeds():
    first, again, other = Noise(seed=3).loaded, Noise(seed=3).loaded, Noise(seed=4).loaded
    assert torch.equal(first.train.x, again.train.x)
    assert not torch.equal(first.train.x, other.train.x)
    assert not torch.equal(first.train.x, first.val.x)
    assert 0 <= first.train.x.min() < 0.01
    assert 0.99 < first.train.x.max() < 1
