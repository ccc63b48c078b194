"""Data in memory as tensors, behind torch's own DataLoader.

The dataset's ``__getitems__`` returns a whole batch, so a batch costs one gather and no Python per sample, while
samplers, workers and distributed training work as usual.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from inspect import signature
from typing import Any, TypedDict

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence
from torch.utils.data import DataLoader, Dataset, DistributedSampler, RandomSampler, SequentialSampler

SHARE_OF_GPU = 0.25  # of its free memory, which a split may use
TASKS = ("multiclass", "binary", "regression")
Batch = tuple[Tensor | PackedSequence, Tensor]


class LoaderOptions(TypedDict, total=False):
    """Arguments of every data module."""

    batch_size: int
    shuffle: bool
    num_workers: int
    class_weight: str | None


@dataclass(frozen=True)
class Split:
    """Inputs ``(samples, ...)`` float32 and targets ``(samples,)``: int64 for classes, float32 for regression.

    Attributes:
        x: of sequences ``(samples, steps, features)``.
        y: with a class for each step ``(samples, steps)``.
        lengths: how many steps of each sequence are data and not padding, int64 ``(samples,)`` on the CPU, where torch
            packs sequences; None: all steps of all samples.
    """

    x: Tensor
    y: Tensor
    lengths: Tensor | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, rows: Any) -> Split:
        return Split(self.x[rows], self.y[rows], None if self.lengths is None else self.lengths[rows])

    @property
    def inputs(self) -> Tensor | PackedSequence:
        """What a network is called with: ``x``, packed where the sequences have lengths of their own.

        Example:
            >>> x = torch.tensor([[[1.0], [2.0], [0.0]], [[3.0], [4.0], [5.0]]])
            >>> split = Split(x, torch.zeros(2), lengths=torch.tensor([2, 3]))
            >>> split.inputs.data.flatten().tolist(), split.inputs.batch_sizes.tolist()  # both first steps first
            ([3.0, 1.0, 4.0, 2.0, 5.0], [2, 2, 1])
        """
        if self.lengths is None:
            return self.x
        return pack_padded_sequence(self.x, self.lengths, batch_first=True, enforce_sorted=False)

    def equals(self, other: Split) -> bool:
        """Returns whether the samples are the same, in the same order."""
        alike = self.x.shape == other.x.shape and self.y.shape == other.y.shape
        if not alike or (self.lengths is None) != (other.lengths is None):
            return False
        if self.lengths is not None and not torch.equal(self.lengths, other.lengths):  # type: ignore[arg-type]
            return False
        return torch.equal(self.y, other.y) and torch.equal(self.x, other.x)

    def to(self, device: torch.device) -> Split:
        return Split(self.x.to(device), self.y.to(device), self.lengths)

    @property
    def num_bytes(self) -> int:
        return self.x.nbytes + self.y.nbytes + (0 if self.lengths is None else self.lengths.nbytes)


@dataclass(frozen=True)
class Splits:
    """The three splits of a data set, and its task.

    Attributes:
        num_classes: 1 for a regression.
        metrics: what ``metrics=auto`` logs; None: the first metric of the task.
        in_shape: of one sample, after the axis of the batch: ``(features,)``, ``(steps, features)`` of the longest
            sequence or ``(channels, height, width)``, also where ``x`` contains flattened images; by default that of
            ``x``.
        baseline: the exact loss of the best predictor without memory; None: not known.
    """

    train: Split
    val: Split
    test: Split
    task: str
    num_classes: int
    metrics: tuple[str, ...] | None = None
    in_shape: tuple[int, ...] = ()
    baseline: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "in_shape", self.in_shape or tuple(self.train.x.shape[1:]))

    @property
    def tested_on(self) -> str:
        """``test``, or ``train`` or ``val`` where a test has the samples of that split."""
        same = (name for name in ("train", "val") if getattr(self, name).equals(self.test))
        return next(same, "test")


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


def _identity(batch: Batch) -> Batch:
    return batch


class TensorDataModule(LightningDataModule):
    """The base class of data sets; a subclass implements :meth:`load`.

    Args:
        batch_size: samples per process and step.
        shuffle: whether each epoch has its own random order.
        num_workers: worker processes of the DataLoader; 0 is fastest for data in memory.
        class_weight: ``balanced``: the loss of a sample is multiplied by :func:`balanced_weights` of its class; None:
            all samples have the same weight.
        **unknown: not accepted.

    Raises:
        ValueError: an unknown argument; the message lists the known ones. Another ``class_weight``.
    """

    def __init__(
        self,
        batch_size: int = 32,
        shuffle: bool = True,
        num_workers: int = 0,
        class_weight: str | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()
        if unknown:
            takes = [name for name in signature(type(self)).parameters if name != "loader"]
            raise ValueError(
                f"data.{next(iter(unknown))}: {type(self).__name__} takes no such key; expected one of "
                f"{', '.join(dict.fromkeys([*takes, *LoaderOptions.__annotations__]))}"
            )
        if class_weight not in (None, "balanced"):
            raise ValueError(f"data.class_weight: expected balanced or null; got {class_weight!r}")
        self.batch_size, self.shuffle, self.num_workers = batch_size, shuffle, num_workers
        self.class_weight = class_weight
        self.splits: Splits | None = None

    @abstractmethod
    def load(self) -> Splits:
        """Reads the data; called once in every process."""

    def setup(self, stage: str | None = None) -> None:
        if self.splits is None:
            self.splits = self.load()

    @property
    def loaded(self) -> Splits:
        self.setup()
        assert self.splits is not None
        return self.splits

    @property
    def class_weights(self) -> list[float] | None:
        """The weight of each class in the loss; None: all are equal.

        Raises:
            ValueError: weights were asked for, and the task is a regression.
        """
        if self.class_weight is None:
            return None
        if self.loaded.task == "regression":
            raise ValueError(
                f"data.class_weight={self.class_weight}: expected classes; got a regression. Set data.class_weight=null"
            )
        return balanced_weights(self.loaded.train.y.flatten(), self.loaded.num_classes)

    def train_dataloader(self) -> DataLoader:
        train, (world, rank) = self.loaded.train, self._world_and_rank
        share = -(-len(train) // world)
        # A last batch of one sample is dropped: BatchNorm raises, because it has no statistics.
        drop = share % self.batch_size == 1 and share > 1
        if world == 1:
            return self._loader(train, self.batch_size, shuffle=self.shuffle, drop_last=drop)
        # Lightning's own distributed sampler would shuffle even if self.shuffle is False.
        seed = int(os.environ.get("PL_GLOBAL_SEED", 0))  # the seed of `seed_everything`
        sampler: DistributedSampler = DistributedSampler(TensorDataset(train), world, rank, self.shuffle, seed)
        return self._loader(train, self.batch_size, sampler=sampler, drop_last=drop)

    @property
    def _world_and_rank(self) -> tuple[int, int]:
        strategy = getattr(self.trainer, "strategy", None)
        place = getattr(strategy, "distributed_sampler_kwargs", None) or {"num_replicas": 1, "rank": 0}
        return place["num_replicas"], place["rank"]

    def val_dataloader(self) -> DataLoader:
        return self._evaluation(self.loaded.val)

    def test_dataloader(self) -> DataLoader:
        return self._evaluation(self.loaded.test)

    def _evaluation(self, split: Split) -> DataLoader:
        world, rank = self._world_and_rank
        if world == 1 or len(split) < world:
            return self._loader(split, evaluation_batch(split))
        share = Share(TensorDataset(split), world, rank, shuffle=False)
        return self._loader(split, evaluation_batch(split, world), sampler=share)

    def transfer_batch_to_device(self, batch: Any, device: torch.device, dataloader_idx: int) -> Any:
        """Moves inputs and targets, without Lightning's search of nested collections."""
        return [part.to(device, non_blocking=True) for part in batch]

    def _on_gpu_if_small(self, split: Split) -> Split:
        """Moves a split to the GPU that trains if it fits, so that batches are not copied one by one."""
        strategy = getattr(self.trainer, "strategy", None)
        device = getattr(strategy, "root_device", torch.device("cpu"))
        if device.type != "cuda" or self.num_workers:
            return split
        free, _ = torch.cuda.mem_get_info(device)
        return split.to(device) if split.num_bytes < free * SHARE_OF_GPU else split

    def _loader(self, split: Split, batch_size: int, **options: Any) -> DataLoader:
        return TensorLoader(
            TensorDataset(self._on_gpu_if_small(split)),
            batch_size=batch_size,
            collate_fn=_identity,  # type: ignore[arg-type]
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            **options,
        )


def balanced_weights(labels: Tensor, num_classes: int) -> list[float]:
    """Returns the weight of each class with which all classes contribute equally: samples / (classes * its samples).

    The mean over the samples is 1. A class without samples is not counted, and has the weight 1.

    Example:
        >>> balanced_weights(torch.tensor([0, 0, 0, 2]), 3)
        [0.6666666666666666, 1.0, 2.0]
    """
    counts = torch.bincount(labels, minlength=num_classes).tolist()
    present = sum(count > 0 for count in counts)
    return [len(labels) / (present * count) if count else 1.0 for count in counts]


def evaluation_batch(split: Split, processes: int = 1, floats: int = 2**20) -> int:
    """Returns the number of samples in a batch of about ``floats`` numbers; without gradients, large ones are faster.

    All processes get the same number of batches, because each batch may contain a collective call.
    """
    size = max(1, min(len(split), floats // max(1, split.x[0].numel())))
    least, most = len(split) // processes, -(-len(split) // processes)
    while least and -(-least // size) != -(-most // size):
        size += 1
    return size
