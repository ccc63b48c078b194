"""The first batch of a fit of convolutions: theory beside measurement, and the hooks come off."""

import math
from statistics import fmean

import pytest
import torch
import torch.nn.functional as F

import gradvitals
from gradvitals.monitor.first_batch import predicted_decades
from gradvitals.nets.cnn import CNN
from gradvitals.signal_propagation.preflight import preflight


def test_the_first_batch_has_the_predictions_of_the_preflight(tmp_path):
    torch.manual_seed(0)
    net = CNN((1, 8, 8), 10, depth=6, width=32, norm="batch")
    x, y = torch.randn(16, 1, 8, 8), torch.arange(16) % 10
    expected = preflight(net, (x, y), F.cross_entropy)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    vitals = gradvitals.watch(net, optimizer, log_dir=tmp_path, every_n_steps=1)
    for _ in range(2):
        optimizer.zero_grad()
        F.cross_entropy(net(x), y).backward()
        optimizer.step()
    found = vitals.preflight
    assert [layer.gain_predicted for layer in found.layers[:-1]] == pytest.approx(
        [layer.gain_predicted for layer in expected.layers[:-1]], rel=1e-3
    )
    ratios = [math.log(layer.gain_measured / layer.gain_predicted) for layer in found.layers[:-1]]
    assert abs(fmean(ratios)) < 0.05
    assert predicted_decades(found) is not None
    vitals.close()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
