"""What a data set consists of: inputs and targets in memory, split into three."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

TASKS = ("multiclass", "binary", "regression")


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
        if self.lengths is None or other.lengths is None:
            alike = self.lengths is other.lengths
        else:
            alike = torch.equal(self.lengths, other.lengths)
        return alike and torch.equal(self.y, other.y) and torch.equal(self.x, other.x)

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
