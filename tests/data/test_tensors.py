"""Where data lies while it is trained on."""

from types import SimpleNamespace

import pytest
import torch

from gradvitals.data.digits import Digits
from gradvitals.data.noise import Noise
from gradvitals.data.tensors import Split, evaluation_batch


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


def beside(rank: int, world: int) -> Digits:
    """The data of one of several processes."""
    data = Digits(shuffle=False)
    place = {"num_replicas": world, "rank": rank}
    strategy = SimpleNamespace(root_device=torch.device("cpu"), distributed_sampler_kwargs=place)
    data.trainer = SimpleNamespace(strategy=strategy, world_size=world)
    return data


@pytest.mark.parametrize("world", [2, 3, 7])
def test_each_process_evaluates_its_share_and_no_sample_comes_twice(world):
    loaders = [beside(rank, world).test_dataloader() for rank in range(world)]
    samples = torch.cat([x for loader in loaders for x, _ in loader])
    whole = Digits().loaded.test.x
    assert len(samples) == len(whole)
    assert torch.equal(torch.unique(samples, dim=0), torch.unique(whole, dim=0))


@pytest.mark.parametrize("samples", range(2, 40))
@pytest.mark.parametrize("world", [2, 3])
def test_all_processes_evaluate_as_many_batches(samples, world):
    """Each may have a collective call in it."""
    split = Split(torch.zeros(samples, 4), torch.zeros(samples))
    for floats in (8, 20, 64):
        size = evaluation_batch(split, world, floats)
        shares = [len(range(rank, samples, world)) for rank in range(world)]
        assert len({-(-share // size) for share in shares if share}) == 1


def test_the_order_is_drawn_by_the_seed(monkeypatch):
    def order(seed: str) -> list[int]:
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        data = beside(0, 2)
        data.shuffle = True
        return list(data.train_dataloader().sampler)

    assert order("1") == order("1") != order("2")


def test_balanced_weights_follow_from_the_training_labels():
    data = Digits(class_weight="balanced")
    weights, y = data.class_weights, data.loaded.train.y
    assert weights == [len(y) / (10 * (y == label).sum().item()) for label in range(10)]
    assert Digits().class_weights is None


def test_weights_of_classes_are_refused_where_there_are_none():
    with pytest.raises(ValueError, match="data.class_weight: expected balanced or null; got 'even'"):
        Digits(class_weight="even")
    with pytest.raises(ValueError, match="data.class_weight=balanced: expected classes; got a regression. Set"):
        _ = Noise(class_weight="balanced").class_weights
