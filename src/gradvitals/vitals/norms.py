"""Sizes of tensors: tensors in, numbers out, which stay on the device until they are asked for.

Sums run in float64. In float32 a sum of squares is 0 where entries are below 1e-23, as in the first layers of 40
sigmoids, and infinite from 1e19 on; what vanishes would be called dead and what explodes not a number. And torch's own
float32 norm of 5e7 entries is wrong by 0.4 % on a processor.

Tensors that are spread over processes (DTensor, as FSDP2 and tensor parallelism make them) are never gathered: each
process sums its own part, and the sums are added.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.dtensor import is_sharded, local_shard

SMALL = 4096  # entries; smaller tensors are faster summed in one piece than one by one


def wide(device: torch.device) -> torch.dtype:
    """float64 where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64


def local(tensor: Tensor) -> Tensor:
    """This process's part: of a DTensor its shard, of a sparse tensor its values, else the tensor itself.

    Complex numbers become pairs, which have the same norm.
    """
    tensor = local_shard(tensor)
    if tensor.is_complex():
        return torch.view_as_real(tensor.resolve_conj())
    return tensor.coalesce().values() if tensor.is_sparse else tensor


def norm(tensor: Tensor) -> Tensor:
    """L2 norm of this process's part of a tensor: shape ``()``, float64."""
    part = local(tensor)
    return torch.linalg.vector_norm(part, dtype=wide(part.device))


def sums(tensor: Tensor) -> tuple[Tensor, Tensor]:
    """Sum and sum of squares of this process's part of a tensor: shape ``()`` each, float64.

    Example:
        >>> [round(value.item(), 9) for value in sums(torch.tensor([1.0, 2.0]))]
        [3.0, 5.0]
    """
    part = local(tensor.detach())
    if part.device.type == "cpu":  # where each sum would convert the whole once more
        exact = part.double()
        return exact.sum(), torch.linalg.vector_norm(exact).square()
    dtype = wide(part.device)
    return part.sum(dtype=dtype), torch.linalg.vector_norm(part, dtype=dtype).square()


class LatestSums:
    """:func:`sums`, remembered for the tensor asked for last: a layer's input is often what was just put out."""

    def __init__(self) -> None:
        self._tensor: Tensor | None = None
        self._version: int | None = None
        self._sums = (torch.zeros(()), torch.zeros(()))

    def __call__(self, tensor: Tensor) -> tuple[Tensor, Tensor]:
        latest = None if tensor.is_inference() else tensor._version  # in that mode nothing counts changes
        if tensor is not self._tensor or latest is None or latest != self._version:
            self._tensor, self._version = tensor, latest
            self._sums = sums(tensor)
        return self._sums

    def forget(self) -> None:
        """Let go of the tensor."""
        self._tensor = None


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """L2 norms of many tensors in one call.

    Args:
        tensors: of any shapes, on one device.

    Returns:
        Shape ``(len(tensors),)``, float64, still on the device: nothing waits.

    Example:
        >>> norms([torch.tensor([3.0, 4.0]), torch.tensor([[1.0]])])
        tensor([5., 1.], dtype=torch.float64)
    """
    if not tensors:
        return torch.zeros(0, dtype=torch.float64)
    found = _of_parts(tensors)
    return _over_shards(found.square(), tensors).sqrt() if any(map(is_sharded, tensors)) else found


def _of_parts(tensors: Sequence[Tensor]) -> Tensor:
    parts = [local(tensor) for tensor in tensors]
    return torch.stack(torch._foreach_norm(parts, dtype=wide(parts[0].device)))


def shares(tensors: Sequence[Tensor], sums: Tensor, processes: int) -> Tensor:
    """This process's share of sums over whole tensors: added up over all processes they are those sums.

    Args:
        tensors: some of which may be spread over processes.
        sums: shape ``(len(tensors),)``, over this process's part of each.
        processes: how many there are; what several of them hold counts once.

    Example:
        >>> shares([torch.ones(3)], torch.tensor([3.0]), processes=2)
        tensor([1.5000])
    """
    holders = [_copies(t) * processes // t.device_mesh.size() if is_sharded(t) else processes for t in tensors]  # type: ignore[attr-defined]
    return sums / torch.tensor(holders, dtype=sums.dtype, device=sums.device)


def shares_of_squares(tensors: Sequence[Tensor], processes: int) -> Tensor:
    """This process's share of each tensor's squared norm; see :func:`shares`. Shape ``(len(tensors),)``, float64."""
    return shares(tensors, _of_parts(tensors).square(), processes)


def total(norms: Tensor) -> Tensor:
    """The norm of all tensors together, from their norms ``(n,)``.

    Example:
        >>> total(torch.tensor([3.0, 4.0]))
        tensor(5.)
    """
    return torch.linalg.vector_norm(norms)


def joint_norm(tensors: Sequence[Tensor]) -> Tensor:
    """The norm of all tensors together; many small ones cost hardly more than one.

    Returns:
        Shape ``()``, float64.

    Example:
        >>> joint_norm([torch.tensor([3.0]), torch.tensor([[4.0]])])
        tensor(5., dtype=torch.float64)
    """
    few = _few(tensors)
    return total(norms(few)) if len(few) > 1 else norm(few[0])


def are_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether all entries are finite, by one norm; where that overflows, by a wider one. Waits for the device.

    Example:
        >>> are_finite([torch.tensor([1e30]), torch.ones(2)]), are_finite([torch.tensor([float("inf")])])
        (True, False)
    """
    if not tensors:
        return True
    if any(map(is_sharded, tensors)):  # all processes must come to the same answer
        return bool(joint_norm(tensors).isfinite())
    narrow = torch.stack(torch._foreach_norm([local(tensor) for tensor in _few(tensors)]))
    return bool(narrow.sum().isfinite()) or bool(joint_norm(tensors).isfinite())


def _few(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The same entries in fewer tensors: small ones in one piece."""
    small: list[Tensor] = []
    rest: list[Tensor] = []
    for tensor in tensors:
        apart = tensor.numel() > SMALL or tensor.is_sparse or is_sharded(tensor)
        (rest if apart else small).append(tensor if apart else local(tensor))
    together = [torch.cat([t if t.ndim == 1 else t.flatten() for t in small])] if small else []
    return [*rest, *together]


def cosine(before: Sequence[Tensor], after: Sequence[Tensor]) -> Tensor:
    """Cosine of the angle between two gradients, each a list of tensors taken as one vector.

    1: the direction was kept. Also 1 where both are nothing but zeros; nan where one of them is.

    Args:
        before, after: the same shapes in the same order.

    Returns:
        Shape ``()``, float64, still on the device.

    Example:
        >>> cosine([torch.tensor([3.0, 4.0])], [torch.tensor([1.0, 1.0])])  # clipped to 1 by value
        tensor(0.9899, dtype=torch.float64)
    """
    product = dot(before, after)
    length, length_after = total(norms(before)), total(norms(after))
    return torch.where((length == 0) & (length_after == 0), 1.0, product / (length * length_after))


def products(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Scalar product of this process's part of each tensor with that of another: shape ``(len(a),)``, float64."""
    return torch.stack([_product(x, y) for x, y in zip(a, b, strict=True)])


def dot(a: Sequence[Tensor], b: Sequence[Tensor]) -> Tensor:
    """Scalar product of two lists of tensors, each taken as one vector.

    Example:
        >>> dot([torch.tensor([3.0, 4.0])], [torch.tensor([1.0, 2.0])])
        tensor(11., dtype=torch.float64)
    """
    found = products(a, b)
    return (_over_shards(found, a) if any(map(is_sharded, a)) else found).sum()


def _product(a: Tensor, b: Tensor) -> Tensor:
    if a.is_sparse:  # whose entries need not be the same
        return torch.sparse.sum(a.double() * b.double())
    dtype = wide(a.device)
    return local(a).flatten().to(dtype) @ local(b).flatten().to(dtype)


def _over_shards(sums: Tensor, tensors: Sequence[Any]) -> Tensor:
    """Sums over whole DTensors from those over this process's parts; what several processes hold counts once."""
    import torch.distributed as dist

    whole = sums.clone()
    for mesh in dict.fromkeys(t.device_mesh for t in tensors if is_sharded(t)):
        at = [i for i, t in enumerate(tensors) if is_sharded(t) and t.device_mesh == mesh]
        copies = torch.tensor([_copies(tensors[i]) for i in at], dtype=sums.dtype, device=sums.device)
        share = sums[at] / copies
        for axis in range(mesh.ndim):
            dist.all_reduce(share, group=mesh.get_group(axis))
        whole[at] = share
    return whole


def _copies(tensor: Any) -> int:
    placed = enumerate(tensor.placements)
    return math.prod(tensor.device_mesh.size(axis) for axis, placement in placed if placement.is_replicate())
