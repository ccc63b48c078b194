"""Losses by task and name, and the loss that ``auto`` selects for a task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LossFunction = Callable[[Tensor, Tensor], Tensor]
AUTO_LOSS = {"multiclass": "ce", "binary": "bce", "regression": "mse"}


def steps_as_samples(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Returns outputs ``(batch * steps, classes)`` and targets ``(batch * steps,)`` of sequences, and others unchanged.

    Sequences are outputs ``(batch, steps, classes)`` with targets ``(batch, steps)``: the classes are the last axis, as
    a linear layer makes them, and not the second, where torch's ``cross_entropy`` expects them.

    Example:
        >>> outputs, targets = steps_as_samples(torch.zeros(2, 5, 3), torch.zeros(2, 5))
        >>> outputs.shape, targets.shape
        (torch.Size([10, 3]), torch.Size([10]))
    """
    if outputs.ndim == 3 and outputs.shape[:2] == targets.shape:
        return outputs.flatten(0, 1), targets.flatten()
    return outputs, targets


def _cross_entropy(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(*steps_as_samples(outputs, targets))


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.one_hot(targets, outputs.shape[1]).to(outputs.dtype)


def _one_hot_bce(outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    outputs, targets = steps_as_samples(outputs, targets)
    return F.binary_cross_entropy_with_logits(outputs, _one_hot(outputs, targets), reduction=reduction)


def _one_hot_mse(outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    outputs, targets = steps_as_samples(outputs, targets)
    return F.mse_loss(outputs.sigmoid(), _one_hot(outputs, targets), reduction=reduction)


def _binary_bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.to(outputs.dtype))


def _binary_mse(outputs: Tensor, targets: Tensor, reduction: str = "mean") -> Tensor:
    return F.mse_loss(outputs.squeeze(1).sigmoid(), targets.to(outputs.dtype), reduction=reduction)


def _mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.mean()


def _regression_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs.squeeze(1), targets)


# From outputs (batch, out_features) and targets (batch,) to the mean loss; of several classes also from those of
# sequences (batch, steps, classes) and (batch, steps). Named functions, so models can be pickled.
LOSSES: dict[tuple[str, str], LossFunction] = {
    ("multiclass", "ce"): _cross_entropy,
    ("multiclass", "bce"): _one_hot_bce,
    ("multiclass", "mse"): _one_hot_mse,
    ("binary", "bce"): _binary_bce,
    ("binary", "mse"): _binary_mse,
    ("regression", "mse"): _regression_mse,
    **{(task, "mean"): _mean_output for task in ("multiclass", "binary", "regression")},
}


def _weighted_ce(outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    return F.cross_entropy(outputs, targets, weight=weight, reduction="none")


def _weighted(loss: Callable[..., Tensor], outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    losses = loss(outputs, targets, "none")
    return weight[targets] * (losses if losses.ndim == 1 else losses.mean(1))


def _weighted_binary_bce(outputs: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    # By pos_weight, which the monitor's look at loss functions understands.
    return weight[0] * F.binary_cross_entropy_with_logits(
        outputs.squeeze(1), targets.to(outputs.dtype), pos_weight=weight[1] / weight[0], reduction="none"
    )


# From outputs, targets and the weight of each class (classes,) to the weighted loss of each sample (batch,).
WEIGHTED: dict[tuple[str, str], Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    ("multiclass", "ce"): _weighted_ce,
    ("multiclass", "bce"): partial(_weighted, _one_hot_bce),
    ("multiclass", "mse"): partial(_weighted, _one_hot_mse),
    ("binary", "bce"): _weighted_binary_bce,
    ("binary", "mse"): partial(_weighted, _binary_mse),
}


class WeightedLoss(nn.Module):
    """The mean over samples of a loss that is multiplied by the weight of the sample's class.

    The sum is divided by the number of samples, not by the sum of their weights as torch's ``cross_entropy`` does. Of
    weights whose mean over the training samples is 1, as that of balanced ones is, both are the same for all samples
    together. In batches, most of which lack a rare class, only the former is unbiased: the mean loss of the batches is
    the loss of all samples, however large a batch is and however many processes share it.

    It is a module, so that the weights move to the device and the precision of the network. Checkpoints contain them
    as a hyperparameter only.
    """

    weight: Tensor

    def __init__(self, task: str, name: str, class_weight: Sequence[float]) -> None:
        super().__init__()
        self._losses = WEIGHTED[task, name]
        self.register_buffer("weight", torch.tensor(class_weight), persistent=False)

    def forward(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._losses(*steps_as_samples(outputs, targets), self.weight).mean()


def loss_function(task: str, name: str = "auto", class_weight: Sequence[float] | None = None) -> LossFunction:
    """Returns a loss of a task.

    Args:
        task: ``multiclass``, ``binary`` or ``regression``.
        name: ``ce`` of logits; ``bce`` of logits, with one-hot targets for several classes; ``mse``, for classes of the
            sigmoid and the one-hot target; ``mean`` of the outputs, which ignores the targets and only shows how
            gradients propagate; ``auto`` for the default of the task.
        class_weight: the weight of each class, a positive number, by which the loss of each of its samples is
            multiplied; None: all are 1. ``mean`` ignores it.

    Raises:
        ValueError: unknown task, or a loss that the task does not have; the message lists what there is. Weights of a
            regression, or weights that are not positive.

    Example:
        >>> import torch
        >>> round(loss_function("multiclass")(torch.zeros(1, 10), torch.tensor([3])).item(), 4)  # log 10
        2.3026
        >>> weighted = loss_function("multiclass", class_weight=[1.0, 3.0])
        >>> outputs, targets = torch.tensor([[0.0, 0.0], [0.0, 9.0]]), torch.tensor([0, 1])
        >>> round(weighted(outputs, targets).item(), 4)  # (1 log 2 + 3 log(1 + e^-9)) / 2
        0.3468
    """
    if task not in AUTO_LOSS:
        raise ValueError(f"task: expected one of {', '.join(AUTO_LOSS)}; got {task!r}. The data module sets it")
    key = (task, AUTO_LOSS[task] if name == "auto" else name)
    if key not in LOSSES:
        has = ", ".join(["auto", *(loss for of, loss in LOSSES if of == task)])
        raise ValueError(f"loss: a {task} task has {has}; got {name!r}. Set it by loss=NAME")
    if class_weight is None:
        return LOSSES[key]
    if task == "regression":
        raise ValueError("class_weight: expected None for a regression, which has no classes; got weights")
    if not all(math.isfinite(weight) and weight > 0 for weight in class_weight):
        raise ValueError(f"class_weight: expected positive numbers; got {list(class_weight)}")
    return WeightedLoss(*key, class_weight) if key in WEIGHTED else LOSSES[key]
