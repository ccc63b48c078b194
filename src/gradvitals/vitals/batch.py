"""What a batch itself tells: the size of its input features, and its labels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

IGNORED = -100  # torch's label of what has none


def inputs_and_labels(batch: Any) -> tuple[Tensor | None, Tensor | None]:
    """The floating-point inputs and the labels, one whole number per sample, of a batch ``(inputs, labels)``.

    Example:
        >>> x, y = inputs_and_labels((torch.zeros(4, 2), torch.tensor([0, 1, 1, -100])))
        >>> x.shape, y.tolist()
        (torch.Size([4, 2]), [0, 1, 1])
    """
    pair = list(batch)[:2] if isinstance(batch, (tuple, list)) else []
    x = pair[0] if pair and isinstance(pair[0], Tensor) and pair[0].is_floating_point() and pair[0].ndim > 1 else None
    y = pair[1] if len(pair) > 1 and isinstance(pair[1], Tensor) else None
    if y is None or y.ndim != 1 or y.is_floating_point() or y.is_complex() or x is None or len(x) != len(y):
        return x, None
    return x, y[y != IGNORED]


def largest_feature(x: Tensor) -> Tensor:
    """The largest root mean square, over samples, of an input feature; shape ``()``.

    Args:
        x: shape ``(samples, ...)``.

    Example:
        >>> largest_feature(torch.tensor([[3.0, 0.0], [-3.0, 1.0]])).item()
        3.0
    """
    return x.detach().double().square().mean(0).sqrt().max() if x.numel() else torch.zeros(())


def best_constant(loss: Callable[[Tensor, Tensor], Tensor], targets: Tensor, outputs: int) -> float:
    """The lowest loss that one output for all samples can have: log K for the cross-entropy of K balanced classes.

    Found by L-BFGS from zero, whatever the loss is made of.

    Args:
        loss: outputs ``(samples, outputs)`` and targets in, a mean over samples out.
        targets: shape ``(samples,)``.
        outputs: per sample.

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


def entropy(counts: Iterable[int]) -> float:
    """Of labels that were counted, in nats, corrected for how few they are (Miller, 1955): the loss of guessing.

    Example:
        >>> round(entropy([5000, 5000]), 3)  # log 2
        0.693
    """
    seen = [count for count in counts if count]
    samples = sum(seen)
    if not samples:
        return math.nan
    plain = -sum(count / samples * math.log(count / samples) for count in seen)
    return plain + (len(seen) - 1) / (2 * samples)


def faults(finite: bool, counts: Mapping[int, int], outputs: int | None, least: int = 50) -> list[str]:
    """What no network can learn from.

    Args:
        finite: whether all inputs are finite numbers.
        counts: how many samples each label has.
        outputs: of the network; one output tells two classes apart. None: not known.
        least: labels that must be seen before all of them being the same says something.

    Example:
        >>> faults(True, {0: 60, 3: 60}, outputs=3)
        ['labels from 0 to 3; 3 outputs tell classes 0 to 2 apart']
    """
    found = [] if finite else ["inputs that are not finite numbers"]
    if not counts:
        return found
    low, high, most = min(counts), max(counts), max(outputs or 0, 2) - 1
    if outputs is not None and not 0 <= low <= high <= most:
        noun = "output tells" if outputs == 1 else "outputs tell"
        found.append(f"labels from {low} to {high}; {outputs} {noun} classes 0 to {most} apart")
    samples = sum(counts.values())
    if len(counts) == 1 and samples >= least:
        found.append(f"all of the first {samples} labels are {low}")
    return found
