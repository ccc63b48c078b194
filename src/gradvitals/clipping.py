"""Clippings that torch and Lightning do not have: pure functions on gradients, in place.

Clipping by the global norm and by value are the Trainer's own (``gradient_clip_val``, ``gradient_clip_algorithm``).
Parameters without a gradient are passed over.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

TINY = 1e-6  # added to a norm before dividing by it, as torch.nn.utils.clip_grad_norm_ does


@torch.no_grad()
def clip_per_parameter_(parameters: Iterable[nn.Parameter], max_norm: float) -> None:
    """Scale each tensor's gradient to an L2 norm of at most ``max_norm``: Keras' ``clipnorm``.

    torch and Lightning clip the norm over all tensors instead (Keras' ``global_clipnorm``).

    Example:
        >>> w = nn.Parameter(torch.zeros(2)); w.grad = torch.tensor([3.0, 4.0])
        >>> clip_per_parameter_([w], 1.0)
        >>> [round(g, 3) for g in w.grad.tolist()]
        [0.6, 0.8]
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    if not grads:
        return
    norms = torch._foreach_norm(grads)
    torch._foreach_mul_(grads, [torch.clamp(max_norm / (norm + TINY), max=1.0) for norm in norms])


@torch.no_grad()
def clip_adaptive_(parameters: Iterable[nn.Parameter], ratio: float = 0.01, eps: float = 1e-3) -> None:
    """Adaptive gradient clipping (Brock et al., 2021): bound each unit's gradient by its weights' norm.

    Row i of a weight ``(out, in, ...)`` is scaled so that ``|G_i| <= ratio * max(|W_i|, eps)``; a bias counts as one
    unit. Leave the output layer's parameters out, as the paper does.

    Example:
        >>> w = nn.Parameter(torch.tensor([[3.0, 4.0]])); w.grad = torch.tensor([[0.6, 0.8]])
        >>> clip_adaptive_([w], ratio=0.01)
        >>> round(w.grad.norm().item(), 4)
        0.05
    """
    for parameter in parameters:
        if parameter.grad is not None:
            limit = ratio * _unit_norm(parameter).clamp(min=eps)
            parameter.grad.mul_(torch.clamp(limit / _unit_norm(parameter.grad), max=1.0))  # a limit over 0 is 1 too


def _unit_norm(x: Tensor) -> Tensor:
    """L2 norm of each row, kept broadcastable; of the whole where there is one axis or none."""
    axes = tuple(range(1, x.ndim)) if x.ndim > 1 else None
    return torch.linalg.vector_norm(x, dim=axes, keepdim=x.ndim > 1)


def percentile_threshold(norms: Sequence[float], percentile: float) -> float:
    """The norm to clip to: a percentile of all total norms so far, the current one included (Seetharaman et al., 2020).

    Args:
        norms: the total gradient norms so far in ascending order, finite.
        percentile: 0 to 100; the paper uses 10.

    Returns:
        The threshold, interpolated between neighbours; infinity where there is no norm yet.

    Example:
        >>> percentile_threshold([1.0, 2.0, 4.0], 75)
        3.0
    """
    if not norms:
        return math.inf
    position = (len(norms) - 1) * percentile / 100
    low, high = math.floor(position), math.ceil(position)
    return norms[low] + (norms[high] - norms[low]) * (position - low)
