"""Metrics by task and name. One collection of them shares what they count."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection, R2Score
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryAUROC,
    BinaryF1Score,
    BinaryStatScores,
    MulticlassAccuracy,
    MulticlassAUROC,
    MulticlassF1Score,
    MulticlassStatScores,
)
from torchmetrics.utilities.data import dim_zero_cat


class BinaryBalancedAccuracy(BinaryStatScores):
    """The mean recall of those of the two classes that occur."""

    higher_is_better = True

    def compute(self) -> Tensor:
        tp, fp, tn, fn = (dim_zero_cat(count) for count in (self.tp, self.fp, self.tn, self.fn))
        return _mean_recall(torch.stack([tn, tp]), torch.stack([fp, fn]))


class MulticlassBalancedAccuracy(MulticlassStatScores):
    """The mean recall of the classes that occur; torchmetrics' macro accuracy also counts those only predicted."""

    higher_is_better = True

    def compute(self) -> Tensor:
        return _mean_recall(dim_zero_cat(self.tp), dim_zero_cat(self.fn))


def _mean_recall(found: Tensor, missed: Tensor) -> Tensor:
    occurs = found + missed > 0
    return (found[occurs] / (found + missed)[occurs]).mean()


class OccurringAUROC(MulticlassAUROC):
    """The mean of the areas, one class against the rest, of the classes that can be ranked.

    Those are the classes that some samples have and others have not. Where there is none, the value is nan.
    torchmetrics counts an area of 0 for each class that does not occur, and warns.
    """

    def compute(self) -> Tensor:  # type: ignore[override]
        counts = torch.bincount(dim_zero_cat(self.target), minlength=self.num_classes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the classes that are left out here
            areas = super().compute()
        return areas[(counts > 0) & (counts < counts.sum())].mean()


class DefinedAUROC(BinaryAUROC):
    """The area under the curve; nan where only one class occurs, for which torchmetrics gives 0 and warns."""

    def compute(self) -> Tensor:  # type: ignore[override]
        target = dim_zero_cat(self.target)
        return super().compute() if (target != target[:1]).any() else torch.full((), torch.nan, device=target.device)


class MeanLoss(Metric):
    """The mean of losses of batches, each with the number of its samples; also of the batches of several processes.

    Lightning's own mean over processes rounds their mean number of samples down to an integer, and torchmetrics'
    ``MeanMetric`` drops values that are not finite, or else the weights.

    Example:
        >>> mean = MeanLoss()
        >>> mean.update(torch.tensor(1.0), 3)
        >>> mean.update(torch.tensor(5.0), 1)
        >>> mean.compute()
        tensor(2.)
    """

    total: Tensor
    samples: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("samples", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, loss: Tensor, samples: int) -> None:
        self.total = self.total + loss * samples
        self.samples = self.samples + samples

    def compute(self) -> Tensor:
        return self.total / self.samples


class RunningAccuracy:
    """The share of the training samples that were classified correctly, each by the network of its own step.

    It costs a step two small kernels and never waits for the device: the matches of ``BATCHES`` batches are counted
    together. A batch that is evaluated again (a closure, a replay) replaces its earlier matches.

    Attributes:
        samples: how many were counted.

    Example:
        >>> accuracy = RunningAccuracy()
        >>> for batch_idx in (0, 1, 1):
        ...     accuracy.add(batch_idx, torch.tensor([2, 1, 0]), torch.tensor([2, 1, batch_idx]))
        >>> accuracy.right, accuracy.samples
        (tensor(5), 6)
    """

    BATCHES = 64

    def __init__(self) -> None:
        self._right: int | Tensor = 0
        self._samples = 0
        self._waiting: dict[int, Tensor] = {}

    def add(self, batch_idx: int, predicted: Tensor, targets: Tensor) -> None:
        """Counts a batch; targets of another shape than the predictions, such as mixed labels, are not counted."""
        if predicted.shape != targets.shape:
            return
        if len(self._waiting) >= self.BATCHES and batch_idx not in self._waiting:
            self._count()
        self._waiting[batch_idx] = predicted == targets

    @property
    def right(self) -> Tensor:
        self._count()
        return torch.as_tensor(self._right)

    @property
    def samples(self) -> int:
        return self._samples + sum(matches.numel() for matches in self._waiting.values())

    def _count(self) -> None:
        if self._waiting:
            matches = torch.cat([each.flatten() for each in self._waiting.values()])
            self._right, self._samples = self._right + matches.sum(), self._samples + matches.numel()
            self._waiting.clear()


# Task -> name -> how the metric is built, from the number of classes and whether it checks its inputs.
METRICS: dict[str, dict[str, Callable[[int, bool], Metric]]] = {
    "multiclass": {
        "acc": lambda classes, check: MulticlassAccuracy(classes, average="micro", validate_args=check),
        "f1": lambda classes, check: MulticlassF1Score(classes, average="macro", validate_args=check),
        "auroc": lambda classes, check: OccurringAUROC(classes, average=None, validate_args=check),
        "balanced_acc": lambda classes, check: MulticlassBalancedAccuracy(
            classes, average="macro", validate_args=check
        ),
    },
    "binary": {
        "acc": lambda _, check: BinaryAccuracy(validate_args=check),
        "f1": lambda _, check: BinaryF1Score(validate_args=check),
        "auroc": lambda _, check: DefinedAUROC(validate_args=check),
        "balanced_acc": lambda _, check: BinaryBalancedAccuracy(validate_args=check),
    },
    "regression": {"r2": lambda *_: R2Score()},
}
COUNTED_ALIKE = {"multiclass": ("f1", "balanced_acc"), "binary": ("acc", "f1", "balanced_acc")}


def chosen_metrics(task: str, names: Sequence[str] | None = None) -> list[str]:
    """Returns the names of metrics without repetition; of None, the first metric of the task.

    Example:
        >>> chosen_metrics("binary"), chosen_metrics("binary", ["f1", "acc", "f1"])
        (['acc'], ['f1', 'acc'])
    """
    return list(METRICS[task])[:1] if names is None else list(dict.fromkeys(names))


def metric_collection(task: str, num_classes: int, names: Sequence[str] | None = None) -> MetricCollection:
    """Returns metrics that take probabilities ``(batch,)`` or ``(batch, num_classes)``, or values, and targets.

    Args:
        task: ``multiclass``, ``binary`` or ``regression``.
        names: ``acc``, ``f1`` (of the second class, or the mean over several classes), ``auroc`` (the mean over each
            class against the rest), ``balanced_acc`` (the mean recall of the classes that occur); for a regression
            ``r2``. None: the first of the task.

    Raises:
        ValueError: a name that the task does not have, or none at all; the message lists what there is.

    Example:
        >>> found = metric_collection("binary", 2, ["acc", "balanced_acc"])
        >>> found.update(torch.tensor([0.1, 0.2, 0.3, 0.4]), torch.tensor([0, 0, 0, 1]))
        >>> {name: value.item() for name, value in found.compute().items()}
        {'acc': 0.75, 'balanced_acc': 0.5}
    """
    known = METRICS[task]
    chosen = chosen_metrics(task, names)
    if not chosen or not set(chosen) <= set(known):
        got = next((repr(name) for name in chosen if name not in known), "none")
        raise ValueError(
            f"metrics: expected some of {', '.join(known)} for a {task} task; got {got}. Set metrics=auto, or for "
            f"example metrics=[{','.join(list(known)[:2])}]"
        )
    alike = [name for name in chosen if name in COUNTED_ALIKE.get(task, ())]
    # One of them checks the inputs, which are the same for all.
    built = {name: known[name](num_classes, name == chosen[0]) for name in chosen}
    return MetricCollection(built, compute_groups=[alike] if alike else False)  # type: ignore[arg-type]
