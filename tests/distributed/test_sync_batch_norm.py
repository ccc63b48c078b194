"""BatchNorm over two processes (gloo) against BatchNorm on the whole batch."""

import pytest
import torch
from torch import nn

from gradvitals.app.run.assemble import assemble
from gradvitals.distributed.sync_batch_norm import SyncAnywhere, desynchronize, synchronize
from gradvitals.vitals.layers import find_layers
from tests.conftest import composed
from tests.distributed.cases import INPUTS, NETS, STEPS, norm_layers, through, whole_batch
from tests.distributed.pair import pair
from tests.distributed.plain_loop import gradients
from tests.distributed.small_fit import batches, model
from tests.distributed.test_fsdp import distance


@pytest.mark.parametrize("kind", ["usual", "cumulative", "bare", "untracked"])
@pytest.mark.parametrize("shape", [(4,), (4, 3)], ids=str)
@pytest.mark.parametrize("sizes", INPUTS)
def test_a_layer(sizes, shape, kind):
    layer = norm_layers()[kind].double()
    own, grads, buffers = through(layer, *(part.double() for part in whole_batch(shape)))
    expected = own | {f"d{name}": grad for name, grad in grads.items()} | buffers
    assert distance(pair().found[f"norm {sizes} {len(shape)} {kind}"], expected) < 1e-5


@pytest.mark.parametrize("net", NETS)
@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_gradients_of_a_network(strategy, net):
    reference = model(NETS[net]).net
    expected = gradients(reference, batches(STEPS), lr=0.5)
    found = pair().found[f"sync {strategy} {net}"]
    assert max(map(whole_distance, found["seen"], expected)) < 1e-5
    assert distance(found["state"], reference.state_dict()) < 1e-4  # biases in front of a norm are all rounding


def whole_distance(found: dict, expected: dict) -> float:
    """All gradients as one vector: some of them are zero but for rounding."""
    assert found.keys() == expected.keys()
    ours = torch.cat([torch.tensor(found[name], dtype=torch.float64).flatten() for name in expected])
    true = torch.cat([expected[name].flatten() for name in expected]).double()
    return ((ours - true).norm() / true.norm()).item()


def test_alone_each_process_normalises_its_own_samples():
    expected = gradients(model(NETS["bn"]).net, batches(STEPS), lr=0.5)
    assert whole_distance(pair().found["sync alone bn"]["seen"][0], expected[0]) > 1e-2


def test_after_a_fit_the_layers_are_those_of_before():
    assert "BatchNorm1d" in pair().found["kinds ddp bn"]
    assert "SyncBatchNorm" not in pair().found["kinds ddp bn"]


def test_the_app_asks_for_it(tmp_path):
    typed = ("trainer=ddp_cpu", "data=iris", "model=bn", "logger=none")
    on = assemble(composed(*typed, "trainer.sync_batchnorm=true", run_dir=str(tmp_path)))
    off = assemble(composed(*typed, run_dir=str(tmp_path)))
    assert isinstance(on.trainer.strategy._layer_sync, SyncAnywhere)
    assert off.trainer.strategy._layer_sync is None


def test_in_place():
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4, eps=1e-3), nn.Sequential(nn.BatchNorm2d(4)))
    before, parts = {key: value.clone() for key, value in net.state_dict().items()}, list(net.modules())
    synchronize(net)
    synchronize(net)
    assert list(net.modules()) == parts
    assert [type(part).__name__ for part in (net[1], net[2][0])] == ["SyncBatchNorm"] * 2
    assert net.state_dict().keys() == before.keys()
    assert [layer.label for layer in find_layers(net, norm_layers=True)] == ["00.0", "01.1", "02.2.0"]
    x = torch.randn(5, 4)
    torch.testing.assert_close(net[1](x), nn.BatchNorm1d(4, eps=1e-3)(x))  # one process is enough for itself
    desynchronize(net)
    assert [type(part) for part in (net[1], net[2][0])] == [nn.BatchNorm1d, nn.BatchNorm2d]


def test_on_a_gpu_it_is_torchs_own():
    net = nn.Sequential(nn.BatchNorm1d(4))
    synchronize(net, torch.device("cuda"))
    assert type(net[0]) is nn.SyncBatchNorm
    desynchronize(net)
    assert type(net[0]) is nn.BatchNorm1d


def test_one_value_is_not_enough():
    layer = nn.BatchNorm1d(4)
    synchronize(layer)
    with pytest.raises(ValueError, match=r"expected \(batch, features, ...\); got \(4,\)"):
        layer(torch.zeros(4))
