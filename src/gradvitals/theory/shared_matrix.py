"""Plain recurrent cells of finite width: what one matrix at all time steps does to the factor on the gradient.

In a wide net all units are alike. In a net of some hundred units each has a mean pre-activation of its own, which it
keeps at all steps because the matrix is the same; so a ReLU unit is active more often than another one. Means and
variances follow from step to step from the weights themselves; what fluctuates is taken as independent between units
and between steps. The second moments ``C`` of the gradient then go backward by
``W^T (p p^T * C + diag((p2 - p^2) * diag C)) W``, where ``p`` and ``p2`` are the means of each unit's slope and of its
square, and ``*`` is elementwise.

As in :mod:`gradvitals.theory.recurrence`, factors apply to NORMS.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.theory.recurrence import normal_quadrature, settled

LEAST = 1e-30  # variance of a unit that does not fluctuate
STEPS = 64  # that are followed at most


@dataclass(frozen=True)
class UnitMoments:
    """Averages of each unit over normal pre-activations of its own mean and variance; all have shape ``(units,)``.

    Attributes:
        mean, variance: of the unit's output.
        slope, slope2: means of the slope and of its square.
    """

    mean: Tensor
    variance: Tensor
    slope: Tensor
    slope2: Tensor


@torch.inference_mode(False)
@torch.no_grad()
def shared_matrix_factor(act: str, weight: Tensor, mean: Tensor, variance: Tensor, steps: int = STEPS) -> float:
    """Returns the factor per time step of a plain cell, over the middle half of the steps.

    Args:
        act: ``tanh`` or ``relu``.
        weight: recurrent weights, ``(units, units)``, float64 on the CPU.
        mean, variance: of what each unit receives from the input and its biases, ``(units,)``, over samples and steps.
        steps: length of a sequence that begins with a state of 0, and whose loss reads the last step.

    Raises:
        KeyError: another activation.
        ArithmeticError: the weights are so large that floats overflow, no gradient is left, or there is one step.

    Example:
        >>> eye, drive = torch.eye(2, dtype=torch.float64), torch.tensor([8.0, -8.0], dtype=torch.float64)
        >>> kept = shared_matrix_factor("relu", 0.9 * eye, drive, 0.01 * eye.diagonal())  # one unit is always active
        >>> round(kept, 9)
        0.9
    """
    moments, steps = MOMENTS[act], min(steps, STEPS)
    forward = _forward(moments, weight, mean, variance, steps)
    second = torch.eye(len(weight), dtype=torch.float64)
    first, last = settled(steps)
    change = 0.0
    for step in range(steps - 1, first, -1):
        unit = forward[step]
        fluctuating = (unit.slope2 - unit.slope.square()) * second.diagonal()
        second = weight.T @ (unit.slope.outer(unit.slope) * second + fluctuating.diag()) @ weight
        size = second.trace().item()
        if not 0 < size < math.inf:
            raise ArithmeticError(f"shared_matrix_factor: expected a finite gradient; got {size}")
        second = second * (len(weight) / size)
        if step <= last:
            change += math.log(size / len(weight))
    return math.exp(change / 2 / (last - first))


def _forward(
    moments: Callable[[Tensor, Tensor], UnitMoments], weight: Tensor, mean: Tensor, variance: Tensor, steps: int
) -> list[UnitMoments]:
    squared, m, v, found = weight.square(), mean, variance, []
    for _ in range(steps):
        found.append(moments(m, v.clamp_min(LEAST)))
        m, v = weight @ found[-1].mean + mean, squared @ found[-1].variance + variance
    return found


def _relu(mean: Tensor, variance: Tensor) -> UnitMoments:
    std = variance.sqrt()
    active = torch.special.ndtr(mean / std)
    edge = std * torch.exp(-mean.square() / variance / 2) / math.sqrt(2 * math.pi)
    output = mean * active + edge
    square = (mean.square() + variance) * active + mean * edge
    return UnitMoments(output, (square - output.square()).clamp_min(0.0), active, active)


def _tanh(mean: Tensor, variance: Tensor) -> UnitMoments:
    z, weights = normal_quadrature()
    output = torch.tanh(mean.unsqueeze(1) + variance.sqrt().outer(z))
    slope = 1 - output.square()
    first = output @ weights
    return UnitMoments(first, output.square() @ weights - first.square(), slope @ weights, slope.square() @ weights)


MOMENTS: dict[str, Callable[[Tensor, Tensor], UnitMoments]] = {"tanh": _tanh, "relu": _relu}
