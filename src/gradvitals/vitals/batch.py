"""Statistics of a batch: the size of its input features, its labels, and faults in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

IGNORED = -100  # torch's label of samples without a class
ENOUGH_LABELS = 500  # from which on a second class is missing if all are equal


def inputs_and_labels(batch: Any) -> tuple[Tensor | None, Tensor | None]:
    """Returns the floating-point inputs and the integer labels of a batch ``(inputs, labels)``; None for others.

    Packed sequences are padded with zeros: ``(samples, steps, features)``.

    Example:
        >>> x, y = inputs_and_labels((torch.zeros(4, 2), torch.tensor([0, 1, 1, -100])))
        >>> x.shape, y.tolist()
        (torch.Size([4, 2]), [0, 1, 1])
    """
    pair = list(batch)[:2] if isinstance(batch, (tuple, list)) else []
    if pair and isinstance(pair[0], PackedSequence):
        pair[0] = pad_packed_sequence(pair[0], batch_first=True)[0]
    x = pair[0] if pair and isinstance(pair[0], Tensor) and pair[0].is_floating_point() and pair[0].ndim > 1 else None
    y = pair[1] if len(pair) > 1 and isinstance(pair[1], Tensor) else None
    if y is None or y.ndim != 1 or y.is_floating_point() or y.is_complex() or x is None or len(x) != len(y):
        return x, None
    return x, y[y != IGNORED]


def best_constant(loss: Callable[[Tensor, Tensor], Tensor], targets: Tensor, outputs: int) -> float:
    """Returns the lowest loss of a constant output: log K for the cross-entropy of K balanced classes.

    It is found by L-BFGS from zero.

    Args:
        loss: a function of outputs ``(samples, outputs)`` and targets, with a mean over samples.

    Example:
        >>> labels = torch.arange(30) % 3
        >>> round(best_constant(torch.nn.functional.cross_entropy, labels, 3), 4)
        1.0986
    """
    constant = torch.zeros(outputs, requires_grad=True)
    solver = torch.optim.LBFGS([constant], max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        solver.zero_grad()
        value = loss(constant.expand(len(targets), outputs), targets)
        value.backward()
        return value

    with torch.enable_grad():
        solver.step(closure)
        return closure().item()


def faults(finite: bool, counts: Mapping[int, int], outputs: int | None) -> list[str]:
    """Returns the faults of inputs and labels that keep any network from learning.

    Args:
        counts: how many samples each label has.
        outputs: number of outputs of the network, where one output distinguishes two classes; None if unknown.

    Example:
        >>> faults(True, {0: 60, 3: 60}, outputs=3)
        ['labels from 0 to 3; 3 outputs distinguish classes 0 to 2']
    """
    found = [] if finite else ["inputs that are not finite numbers"]
    if not counts:
        return found
    low, high, most = min(counts), max(counts), max(outputs or 0, 2) - 1
    if outputs is not None and not 0 <= low <= high <= most:
        subject = "output distinguishes" if outputs == 1 else "outputs distinguish"
        found.append(f"labels from {low} to {high}; {outputs} {subject} classes 0 to {most}")
    samples = sum(counts.values())
    if len(counts) == 1 and samples >= ENOUGH_LABELS:
        found.append(f"all of the first {samples} labels are {low}")
    return found
