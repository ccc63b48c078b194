"""Where data lies while it is trained on."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn.utils.rnn import pad_packed_sequence

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.digits import Digits
from gradvitals.data.noise import Noise
from gradvitals.data.tensor_loader import TensorDataset, evaluation_batch
from gradvitals.data.tensors import TensorDataModule


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


def sequences() -> Split:
    """Three sequences of two features, of 1, 3 and 2 steps; padding is -9, so that it would show."""
    x, lengths = torch.full((3, 3, 2), -9.0), torch.tensor([1, 3, 2])
    for row, steps in enumerate(lengths):
        x[row, :steps] = torch.arange(2.0 * steps).view(-1, 2) + 10 * row
    return Split(x, torch.tensor([0, 1, 0]), lengths)


class Sequences(TensorDataModule):
    def load(self) -> Splits:
        return Splits(sequences(), sequences(), sequences()[:2], "binary", 2)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_sequences_with_lengths_come_packed_without_their_padding(num_workers):
    data = Sequences(shuffle=False, batch_size=2, num_workers=num_workers)
    first = next(iter(data.train_dataloader()))
    padded, lengths = pad_packed_sequence(first[0], batch_first=True)
    assert (padded.shape, lengths.tolist(), first[1].tolist()) == ((2, 3, 2), [1, 3], [0, 1])
    assert padded[0].tolist() == [[0, 1], [0, 0], [0, 0]]
    assert padded[1].tolist() == [[10, 11], [12, 13], [14, 15]]
    assert first[0].data.tolist() == [[10, 11], [0, 1], [12, 13], [14, 15]]
    [(every, _)] = data.val_dataloader()
    assert pad_packed_sequence(every, batch_first=True)[1].tolist() == [1, 3, 2]
    moved = data.transfer_batch_to_device(first, torch.device("meta"), 0)
    assert (moved[0].data.device.type, moved[1].device.type) == ("meta", "meta")


def test_lengths_go_where_the_samples_go():
    split = sequences()
    assert split.num_bytes == 3 * 3 * 2 * 4 + 3 * 8 + 3 * 8
    assert split[1:].lengths.tolist() == split[[1, 2]].lengths.tolist() == [3, 2]
    assert split.to(torch.device("cpu")).lengths is split.lengths
    assert TensorDataset(split)[2][0].tolist() == [[20, 21], [22, 23]]
    assert split.equals(sequences())
    assert not split.equals(Split(split.x, split.y))
    assert not split.equals(Split(split.x, split.y, torch.tensor([1, 3, 3])))


def test_the_shape_of_a_sample_is_known_where_images_are_flat():
    assert (Digits().loaded.in_shape, Digits().loaded.train.x.shape[1:]) == ((1, 8, 8), (64,))
    assert Sequences().loaded.in_shape == (3, 2)
    assert Noise(num_features=5).loaded.in_shape == (5,)
