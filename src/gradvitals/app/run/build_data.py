"""Builds the LightningDataModule of a config."""

from __future__ import annotations

import math
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lightning import LightningDataModule
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gradvitals.app.run.lazy_imports import BESIDE_DATA, defer_imports
from gradvitals.app.run.memory_check import check_memory
from gradvitals.build import Spec, build
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.results.files import user_lock
from gradvitals.tabular.description import TableDescription

if TYPE_CHECKING:
    from gradvitals.data.csv import Csv

NOISE = "gradvitals.data.noise.Noise"  # whose size is typed, and may be mistyped
FLOAT = 4  # bytes


@dataclass(frozen=True)
class DataShape:
    """What a network must know of its data.

    Attributes:
        in_features: features of one flattened sample.
        num_classes: 1 for a regression.
        task: ``multiclass``, ``binary`` or ``regression``.
        class_weight: the weight of each class in the loss; None: all are equal.
        metrics: what is logged beside the loss; None: the first metric of the task.
        in_shape: of one sample: ``(features,)``, ``(steps, features)`` or ``(channels, height, width)``.
        each_step: whether there is a target for each time step.
    """

    in_features: int
    num_classes: int
    task: str
    class_weight: list[float] | None = None
    metrics: list[str] | None = None
    in_shape: tuple[int, ...] | None = None
    each_step: bool = False


def build_data(spec: Spec) -> LightningDataModule:
    """Returns the data module of a spec.

    Raises:
        ConfigError, ValueError: arguments that do not fit, or data that do not fit into memory.
    """
    ours = str(spec.get("_target_")).startswith("gradvitals.")
    with defer_imports(BESIDE_DATA if ours else ()):
        data = build(spec, LightningDataModule)
    if spec["_target_"] == NOISE:
        takes = 3 * FLOAT * spec["num_samples"] * spec["num_features"]
        check_memory("data.num_samples and data.num_features", "data", takes)
    return data


def as_table(data: LightningDataModule) -> Csv | None:
    """Returns the data module where it reads a table, without importing pandas for those of other data."""
    module = sys.modules.get("gradvitals.data.csv")
    return data if module is not None and isinstance(data, module.Csv) else None


def describe(data: LightningDataModule) -> DataShape:
    """Prepares the data and returns their shape.

    Ours know it (``splits``). Of a user's module, attributes of these names are taken, and what is missing is read off
    the first training batch.
    """
    # Where a launcher started several processes on this machine, one downloads what all need.
    lock = nullcontext() if ClusterEnvironment.at_work() is None else user_lock("data")
    with lock:
        data.prepare_data()
    data.setup("fit")
    splits = getattr(data, "splits", None)
    if splits is not None:
        weights = getattr(data, "class_weights", None)
        metrics = list(splits.metrics) if getattr(splits, "metrics", None) else None
        x = splits.train.x[0]
        shape = getattr(splits, "in_shape", tuple(x.shape))
        each_step = splits.train.y.ndim > 1
        return DataShape(x.numel(), splits.num_classes, splits.task, weights, metrics, shape, each_step)
    x, y = next(iter(data.train_dataloader()))
    task = getattr(data, "task", "regression" if y.is_floating_point() else "multiclass")
    num_classes = getattr(data, "num_classes", {"regression": 1, "binary": 2}.get(task))
    if num_classes is None:
        raise ConfigError(
            f"{type(data).__name__}: expected an attribute num_classes beside integer targets; there is none"
        )
    shape = tuple(getattr(data, "in_shape", shape_of_sample(x)))
    return DataShape(
        getattr(data, "in_features", math.prod(shape)), num_classes, task, in_shape=shape, each_step=y.ndim > 1
    )


def shape_of_sample(x: Tensor | PackedSequence) -> tuple[int, ...]:
    """Returns the shape of one sample of a batch; of packed sequences that of the longest.

    Example:
        >>> import torch
        >>> shape_of_sample(torch.zeros(32, 1, 8, 8))
        (1, 8, 8)
        >>> shape_of_sample(torch.nn.utils.rnn.pack_sequence([torch.zeros(5, 3), torch.zeros(4, 3)]))
        (5, 3)
    """
    if isinstance(x, PackedSequence):
        return (len(x.batch_sizes), *x.data.shape[1:])
    return tuple(x.shape[1:])


def description_of(data: LightningDataModule) -> TableDescription | None:
    """Returns what was read of the table that the data come from; None where they are no table."""
    description = getattr(data, "description", None)
    return description if isinstance(description, TableDescription) else None
