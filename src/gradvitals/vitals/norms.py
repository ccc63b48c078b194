"""Norms, sums and products of tensors. The results stay on the device.

Sums are in float64. In float32 a sum of squares is 0 where entries are below 1e-23, as in the first layers of 40
sigmoids, and infinite from 1e19 on, so vanishing gradients would look dead and exploding ones not finite. And torch's
float32 norm of 5e7 entries is wrong by 0.4 % on a CPU.

Sharded tensors (DTensor) are never gathered: each process sums over its shard, and the sums are added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.dtensor import is_sharded, local_shard

SMALL = 4096  # entries; smaller tensors are faster when concatenated


def wide(device: torch.device) -> torch.dtype:
    """Returns float64 if the device supports it, else float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def local(tensor: Tensor) -> Tensor:
    """Returns the shard of a DTensor, the values of a sparse tensor, complex numbers as pairs, others as they are.

    Example:
        >>> local(torch.tensor([1 + 2j])).shape  # (1,) complex numbers
        torch.Size([1, 2])
    """
    tensor = local_shard(tensor)
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def norm(tensor: Tensor) -> Tensor:
    """Returns the L2 norm of a tensor, or of its local shard: shape ``()``, float64.

    Example:
        >>> norm(torch.tensor([[3.0], [4.0]]))
        tensor(5., dtype=torch.float64)
    """
    shard = local(tensor)
    result: Tensor = torch.linalg.vector_norm(shard, dtype=wide(shard.device))
    return result


def sums(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Returns sum and sum of squares of a tensor, or of its local shard: shape ``()`` each, float64.

    Example:
        >>> [round(value.item(), 9) for value in sums(torch.tensor([1.0, 2.0]))]
        [3.0, 5.0]
    """
    shard = local(tensor.detach())
    if shard.device.type == "cpu":  # where dtype= would convert the tensor once per sum
        exact = shard.double().reshape(-1)
        return exact.sum(), torch.dot(exact, exact)
    dtype = wide(shard.device)
    return shard.sum(dtype=dtype), torch.linalg.vector_norm(shard, dtype=dtype).square()


class LatestSums:
    """:func:`sums` with a cache of one tensor, because a layer's input is often the output just measured."""

    def __init__(self) -> None:
        self._tensor: Tensor | None = None
        self._version: int | None = None
        self._sums = (torch.zeros(()), torch.zeros(()))

    def __call__(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        latest = None if tensor.is_inference() else tensor._version  # inference mode does not count changes
        if tensor is not self._tensor or latest is None or latest != self._version:
            self._tensor, self._version = tensor, latest
            self._sums = sums(tensor)
        return self._sums

    def forget(self) -> None:
        self._tensor = None


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the L2 norms of many tensors, on one device, in one call: shape ``(len(tensors),)``, float64.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.tensor([[1.0]])])
        tensor([5., 1.], dtype=torch.float64)
    """
    if not tensors:
        return torch.zeros(0, dtype=torch.float64)
    found = _local_norms(tensors)
    return _over_shards(found.square(), tensors).sqrt() if any(map(is_sharded, tensors)) else found


def _local_norms(tensors: Sequence[Tensor]) -> Tensor:
    shards = [local(tensor) for tensor in tensors]
    return torch.stack(torch._foreach_norm(shards, dtype=wide(shards[0].device)))


def shares(tensors: Sequence[Tensor], sums: Tensor, processes: int) -> Tensor:
    """Returns this process's share of sums over whole tensors. The sum of the shares of all processes is the total.

    Args:
        sums: sums over the local shards, shape ``(len(tensors),)``.
        processes: number of processes, among which replicated sums are divided.

    Example:
        >>> shares([torch.ones(3)], torch.tensor([3.0]), processes=2)
        tensor([1.5000])
    """
    copies = [_replicas(t) * processes // t.device_mesh.size() if is_sharded(t) else processes for t in tensors]  # type: ignore[attr-defined]
    return sums / torch.tensor(copies, dtype=sums.dtype, device=sums.device)


def shares_of_squares(tensors: Sequence[Tensor], processes: int) -> Tensor:
    """Returns this process's :func:`shares` of squared norms: shape ``(len(tensors),)``, float64."""
    return shares(tensors, _local_norms(tensors).square(), processes)


def total(norms: Tensor) -> Tensor:
    """Returns the norm of all tensors together, from their norms ``(n,)``.

    Example:
        >>> total(torch.tensor([3.0, 4.0]))
        tensor(5.)
    """
    result: Tensor = torch.linalg.vector_norm(norms)
    return result


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the norm of all tensors together: shape ``()``, float64. Many small tensors cost hardly more than one.

    Example:
        >>> joint_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
        tensor(5., dtype=torch.float64)
    """
    few = _few(tensors)
    return total(norms(few)) if len(few) > 1 else norm(few[0])


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Returns whether all entries of tensors of any shapes are finite, by one norm, or in float64 if that overflows.

    Waits for the device.

    Example:
        >>> are_finite([torch.tensor([1e30]), torch.ones(2)]), are_finite([torch.tensor([float("inf")])])
        (True, False)
    """
    if not tensors:
        return True
    if any(map(is_sharded, tensors)):  # all processes must get the same result
        return bool(joint_norm(tensors).isfinite())
    narrow = torch.stack(torch._foreach_norm([local(tensor) for tensor in _few(tensors)]))
    return bool(narrow.sum().isfinite()) or bool(joint_norm(tensors).isfinite())


def _few(tensors: Sequence[Tensor]) -> list[Tensor]:
    small: list[Tensor] = []
    rest: list[Tensor] = []
    for tensor in tensors:
        separate = tensor.numel() > SMALL or tensor.is_sparse or is_sharded(tensor)
        (rest if separate else small).append(tensor if separate else local(tensor))
    joined = [torch.cat([t if t.ndim == 1 else t.flatten() for t in small])] if small else []
    return [*rest, *joined]


def cosine(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """Returns the cosine of the angle between two lists of tensors of equal shapes, each taken as one vector.

    Args:
        before, after: such as the gradients before and after clipping.

    Returns:
        Shape ``()``, float64, on the device. 1 if both vectors are zero; nan if one of them is.

    Example:
        >>> cosine([torch.tensor([3.0, 4.0])], [torch.tensor([1.0, 1.0])])  # clipped to 1 by value
        tensor(0.9899, dtype=torch.float64)
    """
    product = dot(before, after)
    length, length_after = total(norms(before)), total(norms(after))
    return torch.where((length == 0) & (length_after == 0), 1.0, product / (length * length_after))


def products(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Returns the scalar product of each pair of tensors, or of their local shards: shape ``(len(a),)``, float64."""
    return torch.stack([_product(x, y) for x, y in zip(a, b, strict=True)])


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Returns the scalar product of two lists of tensors, each taken as one vector: shape ``()``, float64.

    Args:
        a, b: as many tensors, of equal shapes.

    Example:
        >>> dot([torch.tensor([3.0, 4.0])], [torch.tensor([1.0, 2.0])])
        tensor(11., dtype=torch.float64)
    """
    found = products(a, b)
    return (_over_shards(found, a) if any(map(is_sharded, a)) else found).sum()


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.is_sparse:  # the indices may differ
        return torch.sparse.sum(a.double() * b.double())
    dtype = wide(a.device)
    return local(a).flatten().to(dtype) @ local(b).flatten().to(dtype)


def _over_shards(sums: Tensor, tensors: Sequence[Any]) -> Tensor:
    """Returns sums over whole DTensors from those over local shards, counting replicated shards once."""
    whole = sums.clone()
    for mesh in dict.fromkeys(t.device_mesh for t in tensors if is_sharded(t)):
        on_mesh = [i for i, t in enumerate(tensors) if is_sharded(t) and t.device_mesh == mesh]
        replicas = torch.tensor([_replicas(tensors[i]) for i in on_mesh], dtype=sums.dtype, device=sums.device)
        share = sums[on_mesh] / replicas
        for axis in range(mesh.ndim):
            torch.distributed.all_reduce(share, group=mesh.get_group(axis))
        whole[on_mesh] = share
    return whole


def _replicas(tensor: Any) -> int:
    placements = enumerate(tensor.placements)
    return math.prod(tensor.device_mesh.size(axis) for axis, placement in placements if placement.is_replicate())
