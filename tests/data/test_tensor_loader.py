"""Batches of data in memory, beside those of torch's own loader."""

from itertools import count, islice

import pytest
import torch
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler

from gradvitals.data.dataset_splits import Split
from gradvitals.data.tensor_loader import Share, TensorDataset, TensorLoader


@pytest.mark.parametrize(("drop_last", "shuffle"), [(False, True), (True, True), (False, False)])
def test_batches_and_draws_are_those_of_torchs_loader(drop_last, shuffle):
    dataset = TensorDataset(Split(torch.arange(10.0), torch.arange(10)))
    options = {"batch_size": 4, "shuffle": shuffle, "drop_last": drop_last, "collate_fn": tuple}

    def drawn(kind: type[DataLoader]) -> list:
        torch.manual_seed(0)
        loader = kind(dataset, **options)
        batches = [[(x.tolist(), y.tolist()) for x, y in loader] for _ in range(2)]
        return [*batches, torch.rand(()).item(), len(loader)]

    assert drawn(TensorLoader) == drawn(DataLoader)


def test_a_sampler_of_batches_is_left_to_torch():
    dataset = TensorDataset(Split(torch.arange(4.0), torch.arange(4)))
    loader = TensorLoader(dataset, batch_sampler=[[3, 1], [0]], collate_fn=tuple)
    assert [y.tolist() for _, y in loader] == [[3, 1], [0]]


class Drawing(Sampler):
    """Draws each sample when it is asked for, and has no end."""

    def __init__(self) -> None: ...

    def __iter__(self):
        return (int(torch.randint(10, ())) for _ in count())


@pytest.mark.parametrize(
    "options",
    [
        {"batch_sampler": BatchSampler(RandomSampler(range(10)), 3, drop_last=True)},
        {"batch_size": 3, "sampler": Drawing()},
        {"batch_size": 3, "shuffle": True, "generator": torch.Generator()},
        {"batch_size": 3, "sampler": RandomSampler(range(10), replacement=True, num_samples=50)},
        {"batch_size": 3, "sampler": []},
        {"batch_size": 3, "sampler": Share(range(0), 1, 0, shuffle=False)},
    ],
    ids=["batches", "draws one by one", "generator", "replacement", "none", "no share"],
)
def test_samplers_of_all_kinds_in_epochs_that_are_broken_off(options):
    dataset = TensorDataset(Split(torch.arange(10.0), torch.arange(10)))

    def drawn(kind: type[DataLoader]) -> list:
        torch.manual_seed(0)
        options.get("generator", torch.default_generator).manual_seed(0)
        loader = kind(dataset, collate_fn=tuple, **options)
        return [(y.tolist(), torch.rand(()).item()) for _ in range(3) for _, y in islice(loader, 2)]

    assert drawn(TensorLoader) == drawn(DataLoader)
