"""The data module of data in memory."""

from __future__ import annotations

import os
from abc import abstractmethod
from inspect import signature
from typing import Any, TypedDict

import torch
from lightning import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, DistributedSampler

from gradvitals.data.dataset_splits import Split, Splits
from gradvitals.data.tensor_loader import Batch, Share, TensorDataset, TensorLoader, evaluation_batch

SHARE_OF_GPU = 0.25  # of its free memory, which a split may use


class LoaderOptions(TypedDict, total=False):
    """Arguments of every data module."""

    batch_size: int
    shuffle: bool
    num_workers: int
    class_weight: str | None


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
