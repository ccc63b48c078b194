"""Where data lies while it is trained on."""

from types import SimpleNamespace

import pytest
import torch

from gradvitals.data.digits import Digits
from gradvitals.data.tensors import Split


@pytest.fixture
def moved(monkeypatch):
    """The devices that splits were sent to; no such device is needed."""
    devices = []
    monkeypatch.setattr(Split, "to", lambda self, device: devices.append(device.type) or self)
    return devices


def on(device: str, **settings) -> Digits:
    data = Digits(**settings)
    data.trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)), world_size=1)
    return data


def test_on_a_gpu_data_lies_there_if_there_is_room(moved, monkeypatch):
    data = on("cuda")
    size = data.loaded.train.num_bytes
    assert size == 1257 * (64 * 4 + 8)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 * size, 9 * size))
    data.train_dataloader()
    assert moved == ["cuda"]
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (4 * size, 9 * size))
    data.train_dataloader()
    assert moved == ["cuda"]


def test_on_a_processor_or_with_workers_it_stays(moved):
    on("cpu").train_dataloader()
    on("cuda", num_workers=1).train_dataloader()
    assert moved == []


def test_batches_are_gathered_where_the_data_lies():
    x, y = next(iter(Digits(shuffle=False, batch_size=3).train_dataloader()))
    assert (x.shape, y.shape) == ((3, 64), (3,))
    split = Digits().loaded.train
    assert torch.equal(x, split.x[:3])
    assert torch.equal(y, split.y[:3])
