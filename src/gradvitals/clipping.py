"""Gradient clipping that torch and Lightning do not have: pure functions that change gradients in place.

The Trainer itself clips by global norm and by value (``gradient_clip_val``, ``gradient_clip_algorithm``). Parameters
without a gradient are skipped. Sharded gradients (FSDP2, along the first axis) are clipped like whole ones: the
processes exchange sums over their shards, never the gradients.
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
    """Scales each tensor's gradient to an L2 norm of at most ``max_norm``: Keras' ``clipnorm``.

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
    """Bounds each unit's gradient by the norm of its weights: adaptive gradient clipping (Brock et al., 2021).

    Row i of a weight ``(out, in, ...)`` is scaled so that ``|G_i| <= ratio * max(|W_i|, eps)``; a bias counts as one
    unit. The paper excludes the output layer's parameters.

    Example:
        >>> w = nn.Parameter(torch.tensor([[3.0, 4.0]])); w.grad = torch.tensor([[0.6, 0.8]])
        >>> clip_adaptive_([w], ratio=0.01)
        >>> round(w.grad.norm().item(), 4)
        0.05
    """
    pairs = [(p, p.grad) for p in parameters if p.grad is not None]
    weight_norms, norms = _unit_norms([p for p, _ in pairs]), _unit_norms([grad for _, grad in pairs])
    for (_, grad), weight_norm, norm in zip(pairs, weight_norms, norms, strict=True):
        limit = ratio * weight_norm.clamp(min=eps)
        local_shard(grad).mul_(torch.clamp(limit / norm, max=1.0))  # a norm of 0 gives 1, too


@torch.no_grad()
def clip_to_norm_(parameters: Iterable[nn.Parameter], max_norm: float, norm: Tensor) -> None:
    """Scales all gradients by one factor, so that their :func:`total_norm` ``norm`` becomes at most ``max_norm``."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if grads:
        _scale(grads, [torch.clamp(max_norm / (norm + TINY), max=1.0)] * len(grads))


@torch.no_grad()
def total_norm(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Returns the L2 norm of all gradients together: shape ``()``, on the device.

    Example:
        >>> w = nn.Parameter(torch.zeros(2)); w.grad = torch.tensor([3.0, 4.0])
        >>> total_norm([w])
        tensor(5.)
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    return torch.linalg.vector_norm(torch.stack(_norms(grads))) if grads else torch.zeros(())


def _unit_norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns L2 norms of each tensor's rows, which broadcast; of the whole tensor if it has at most one axis."""
    of_vectors = iter(_norms([x for x in tensors if x.ndim < 2]))
    return [
        torch.linalg.vector_norm(local_shard(x), dim=tuple(range(1, x.ndim)), keepdim=True)
        if x.ndim > 1
        else next(of_vectors)
        for x in tensors
    ]


def _norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Returns the L2 norms of whole tensors, shape ``()`` each."""
    norms = list(torch._foreach_norm([local_shard(x) for x in tensors])) if tensors else []
    sharded = [i for i, x in enumerate(tensors) if is_sharded(x)]
    if sharded:
        reduced = _over_shards(torch.stack([norms[i] for i in sharded]), tensors[sharded[0]])
        for i, norm in zip(sharded, reduced.unbind(), strict=True):
            norms[i] = norm
    return norms


def _over_shards(norms: Tensor, tensor: Any) -> Tensor:
    """Returns the norms of whole tensors from those of this process's shards; all are on the mesh of ``tensor``."""
    squares = norms.double().square()  # float32 has no squares of norms below 1e-23
    torch.distributed.all_reduce(squares, group=tensor.device_mesh.get_group())
    return squares.sqrt().to(norms.dtype)


def _scale(grads: Sequence[Tensor], factors: list[Tensor]) -> None:
    torch._foreach_mul_([local_shard(grad) for grad in grads], factors)


def percentile_threshold(norms: Sequence[float], percentile: float) -> float:
    """Returns the norm to clip to: a percentile of all total norms up to now (AutoClip: Seetharaman et al., 2020).

    Args:
        norms: finite total gradient norms in ascending order, the current one included; none gives infinity.
        percentile: 0 to 100, interpolated between neighbors; the paper uses 10.

    Example:
        >>> percentile_threshold([1.0, 2.0, 4.0], 75)
        3.0
    """
    if not norms:
        return math.inf
    position = (len(norms) - 1) * percentile / 100
    low, high = math.floor(position), math.ceil(position)
    return norms[low] + (norms[high] - norms[low]) * (position - low)
