import pytest
import torch

from gradvitals.nets.mlp import MLP
from gradvitals.theory import batchnorm_gain
from gradvitals.vitals import norm
from tests.theory.reference import check
from tests.theory.simulate import draw_

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("data_root")]


def test_batchnorm_explodes_at_the_rate_of_theory():
    from tests.theory.real_data import images

    x, y = images("standard")
    sizes = {}
    for depth in (60, 100):
        torch.manual_seed(0)
        net = MLP(784, 10, depth=depth, width=200, norm="batch").double()
        draw_(net, 2.0)
        torch.nn.functional.cross_entropy(net(x[:128].double()), y[:128]).backward()
        sizes[depth] = norm(net.layers[0].linear.weight.grad).item()
    rate = (sizes[100] / sizes[60]) ** (1 / 40)
    check("bn.fm.slope", rate)
    assert rate == pytest.approx(batchnorm_gain("relu", 128) ** 0.5, rel=0.01)
