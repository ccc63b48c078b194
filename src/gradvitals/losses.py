"""Losses by task and name, and the loss that ``auto`` selects for a task."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor

LossFunction = Callable[[Tensor, Tensor], Tensor]
AUTO_LOSS = {"multiclass": "ce", "binary": "bce", "regression": "mse"}


def _one_hot(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.one_hot(targets, outputs.shape[1]).to(outputs.dtype)


def _one_hot_bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs, _one_hot(outputs, targets))


def _one_hot_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs.sigmoid(), _one_hot(outputs, targets))


def _binary_bce(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(outputs.squeeze(1), targets.to(outputs.dtype))


def _binary_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs.squeeze(1).sigmoid(), targets.to(outputs.dtype))


def _mean_output(outputs: Tensor, targets: Tensor) -> Tensor:
    return outputs.mean()


def _regression_mse(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.mse_loss(outputs.squeeze(1), targets)


# From outputs (batch, out_features) and targets (batch,) to the mean loss. Named functions, so models can be pickled.
LOSSES: dict[tuple[str, str], LossFunction] = {
    ("multiclass", "ce"): F.cross_entropy,
    ("multiclass", "bce"): _one_hot_bce,
    ("multiclass", "mse"): _one_hot_mse,
    ("binary", "bce"): _binary_bce,
    ("binary", "mse"): _binary_mse,
    ("regression", "mse"): _regression_mse,
    **{(task, "mean"): _mean_output for task in ("multiclass", "binary", "regression")},
}


def loss_function(task: str, name: str = "auto") -> LossFunction:
    """Returns a loss of a task.

    Args:
        task: ``multiclass``, ``binary`` or ``regression``.
        name: ``ce`` of logits; ``bce`` of logits, with one-hot targets for several classes; ``mse``, for classes of the
            sigmoid and the one-hot target; ``mean`` of the outputs, which ignores the targets and only shows how
            gradients propagate; ``auto`` for the default of the task.

    Raises:
        ValueError: unknown task, or a loss that the task does not have; the message lists what there is.

    Example:
        >>> import torch
        >>> round(loss_function("multiclass")(torch.zeros(1, 10), torch.tensor([3])).item(), 4)  # log 10
        2.3026
    """
    if task not in AUTO_LOSS:
        raise ValueError(f"task: expected one of {', '.join(AUTO_LOSS)}; got {task!r}. The data module sets it")
    key = (task, AUTO_LOSS[task] if name == "auto" else name)
    if key not in LOSSES:
        has = ", ".join(["auto", *(loss for of, loss in LOSSES if of == task)])
        raise ValueError(f"loss: a {task} task has {has}; got {name!r}. Set it by loss=NAME")
    return LOSSES[key]
