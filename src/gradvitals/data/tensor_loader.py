"""Batches of data in memory, behind torch's own DataLoader.

The dataset's ``__getitems__`` returns a whole batch, so a batch costs one gather and no Python per sample, while
samplers, workers and distributed training work as usual.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler, SequentialSampler

from gradvitals.data.dataset_splits import Split

Batch = tuple[Tensor | PackedSequence, Tensor]


class TensorDataset(Dataset):
    """A split as a map-style dataset, which also returns whole batches."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        """Returns one sample; of a sequence its own steps."""
        x, lengths = self.split.x[row], self.split.lengths
        return (x if lengths is None else x[: lengths[row]]), self.split.y[row]

    def __getitems__(self, rows: list[int] | Tensor) -> Batch:
        index = torch.as_tensor(rows, device=self.device)
        if self.split.lengths is not None:
            chosen = self.split[index]
            return chosen.inputs, chosen.y
        # index_select is twice as fast as x[index].
        return self.split.x.index_select(0, index), self.split.y.index_select(0, index)

    @property
    def device(self) -> torch.device:
        """Where row numbers must be: with the data, or where their lengths are."""
        return (self.split.x if self.split.lengths is None else self.split.lengths).device


class Share(DistributedSampler):
    """Samples a process's share in order. Unlike its base class it does not repeat samples to make shares equal.

    Example:
        >>> [list(Share(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
        [[0, 2, 4], [1, 3]]
    """

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.rank, len(self.dataset), self.num_replicas))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(range(self.rank, len(self.dataset), self.num_replicas))  # type: ignore[arg-type]


AT_ONCE = (SequentialSampler, RandomSampler, DistributedSampler, Share)


class TensorLoader(DataLoader):
    """A DataLoader of a :class:`TensorDataset` that asks its sampler for a whole epoch at once.

    Its batches and its draws of random numbers are those of torch's DataLoader.

    Example:
        >>> split = Split(torch.arange(5.0), torch.arange(5))
        >>> [y.tolist() for _, y in TensorLoader(TensorDataset(split), batch_size=2, collate_fn=tuple)]
        [[0, 1], [2, 3], [4]]
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        if self.num_workers or self.batch_size is None or not self._draws_at_once:
            return super().__iter__()
        torch.empty((), dtype=torch.int64).random_(generator=self.generator)  # torch draws a seed for workers
        return self._batches()

    @property
    def _draws_at_once(self) -> bool:
        """Whether all draws of an epoch follow from one at its start; a sampler of another kind may draw in between."""
        has_own_generator = getattr(self.sampler, "generator", None) is not None
        return type(self.sampler) in AT_ONCE and not has_own_generator

    def _batches(self) -> Iterator[Batch]:
        dataset: TensorDataset = self.dataset  # type: ignore[assignment]
        order = torch.tensor(list(self.sampler), dtype=torch.int64)
        for rows in order.to(dataset.device).split(self.batch_size or 1):
            if len(rows) == self.batch_size or (len(rows) and not self.drop_last):
                yield self.collate_fn(dataset.__getitems__(rows))  # type: ignore[arg-type]


def evaluation_batch(split: Split, processes: int = 1, floats: int = 2**20) -> int:
    """Returns the number of samples in a batch of about ``floats`` numbers; without gradients, large ones are faster.

    All processes get the same number of batches, because each batch may contain a collective call.
    """
    size = max(1, min(len(split), floats // max(1, split.x[0].numel())))
    least, most = len(split) // processes, -(-len(split) // processes)
    while least and -(-least // size) != -(-most // size):
        size += 1
    return size
