"""Clippings that torch and Lightning do not have: pure functions on gradients, in place.

Clipping by the global norm and by value are the Trainer's own (``gradient_clip_val``, ``gradient_clip_algorithm``).
Parameters without a gradient are passed over. Gradients that lie in parts on several devices (FSDP2, cut along the
first axis) are clipped as if they were whole: sums over their parts are exchanged, the gradients never.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.distributed.dtensor import is_sharded, local_shard

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
    if grads:
        _scale(grads, [torch.clamp(max_norm / (norm + TINY), max=1.0) for norm in _norms(grads)])


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
    both = [(p, p.grad) for p in parameters if p.grad is not None]
    weight_norms, norms = _unit_norms([p for p, _ in both]), _unit_norms([grad for _, grad in both])
    for (_, grad), weight_norm, norm in zip(both, weight_norms, norms, strict=True):
        limit = ratio * weight_norm.clamp(min=eps)
        local_shard(grad).mul_(torch.clamp(limit / norm, max=1.0))  # a limit over 0 is 1 too


@torch.no_grad()
def clip_to_norm_(parameters: Iterable[nn.Parameter], max_norm: float, norm: Tensor) -> None:
    """Scale all gradients by one factor, so that their :func:`total_norm` ``norm`` becomes at most ``max_norm``."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if grads:
        _scale(grads, [torch.clamp(max_norm / (norm + TINY), max=1.0)] * len(grads))


@torch.no_grad()
def total_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """L2 norm of all gradients together: shape ``()``, still on the device.

    Example:
        >>> w = nn.Parameter(torch.zeros(2)); w.grad = torch.tensor([3.0, 4.0])
        >>> total_norm([w])
        tensor(5.)
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(_norms(grads))) if grads else torch.zeros(())


def _unit_norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """L2 norms of each tensor's rows, kept broadcastable; of the whole where it has one axis or none."""
    of_vectors = iter(_norms([x for x in tensors if x.ndim < 2]))
    return [
        torch.linalg.vector_norm(local_shard(x), dim=tuple(range(1, x.ndim)), keepdim=True)
        if x.ndim > 1
        else next(of_vectors)
        for x in tensors
    ]


def _norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """L2 norms of whole tensors, shape ``()`` each."""
    norms = list(torch._foreach_norm([local_shard(x) for x in tensors])) if tensors else []
    spread = [place for place, x in enumerate(tensors) if is_sharded(x)]
    if spread:
        together = _over_parts(torch.stack([norms[place] for place in spread]), tensors[spread[0]])
        for place, norm in zip(spread, together.unbind(), strict=True):
            norms[place] = norm
    return norms


def _over_parts(norms: Tensor, one: Any) -> Tensor:
    """Norms of whole tensors, from those of this process's parts; all lie on the mesh of one of them."""
    squares = norms.double().square()  # which float32 would lose below 1e-23
    torch.distributed.all_reduce(squares, group=one.device_mesh.get_group())
    return squares.sqrt().to(norms.dtype)


def _scale(grads: Sequence[Tensor], factors: list[Tensor]) -> None:
    torch._foreach_mul_([local_shard(grad) for grad in grads], factors)


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
