"""Batches of data in memory, beside those of torch's own loader."""

import pytest
import torch
from torch.utils.data import DataLoader

from gradvitals.data.dataset_splits import Split
from gradvitals.data.tensor_loader import TensorDataset, TensorLoader


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
