"""Numbers that are still on the device, and in parts on several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.vitals.norms import joint_norm, norms, shares_of_squares, wide

Numbers = dict[str, float]
Finish = Callable[[Sequence[float], Numbers], None]


@dataclass
class _Part:
    values: Tensor  # (n,)
    finish: Finish
    adds_up: bool  # over the processes


class Readings:
    """Collects tensors, adds up over all processes in one call what is a sum, and brings all of them to the host in one
    copy; the rest is arithmetic there.

    Args:
        processes: those that share the batch; they must collect alike.

    Example:
        >>> readings = Readings()
        >>> readings.add(torch.tensor([3.0, 4.0]), lambda values, numbers: numbers.update(norm=math.hypot(*values)))
        >>> readings.add_one("loss", torch.tensor(2.0))
        >>> readings.fetch()
        {'norm': 5.0, 'loss': 2.0}
    """

    def __init__(self, processes: Collectives = ALONE) -> None:
        self.processes = processes
        self._parts: list[_Part] = []

    def add(self, values: Tensor, finish: Finish) -> None:
        """Take in numbers ``(n,)`` that are the same in each process, and what makes tagged numbers of them and of
        those that were added before."""
        self._parts.append(_Part(values, finish, adds_up=False))

    def add_one(self, tag: str, value: Tensor) -> None:
        """Take in one number ``()`` or ``(1,)`` and its tag."""
        self.add(value.reshape(1), lambda values, numbers: numbers.update({tag: values[0]}))

    def add_sums(self, values: Tensor, finish: Finish) -> None:
        """Take in sums ``(n,)`` over this process's part of the batch; ``finish`` is given those over the whole."""
        copies = self.processes.copies
        self.add_shares(values / copies if copies > 1 else values, finish)

    def add_means(self, values: Tensor, finish: Finish) -> None:
        """Take in means ``(n,)`` over this process's part; ``finish`` is given those over the whole, of equal parts."""
        self.add_sums(values / self.processes.number, finish)

    def add_shares(self, values: Tensor, finish: Finish) -> None:
        """Take in numbers ``(n,)`` that are added up over all processes."""
        self._parts.append(_Part(values, finish, adds_up=True))

    def add_norms(self, tensors: Sequence[Tensor], finish: Finish, sharded: bool = False) -> None:
        """Take in the L2 norm of each tensor.

        Args:
            tensors: equal in all processes, or sharded.
            finish: is given the norms.
            sharded: see :func:`gradvitals.distributed.dtensor.is_sharded`.
        """
        if not sharded:
            self.add(norms(tensors), finish)
            return
        squares = shares_of_squares(tensors, self.processes.total)
        self.add_shares(squares, lambda values, numbers: finish([math.sqrt(value) for value in values], numbers))

    def add_joint_norm(self, tensors: Sequence[Tensor], finish: Finish, sharded: bool = False) -> None:
        """Take in the one norm of all tensors together, 0 where there is none; as :meth:`add_norms`."""
        if sharded and tensors:
            self.add_norms(tensors, lambda values, numbers: finish([math.hypot(*values)], numbers), sharded)
        else:
            self.add((joint_norm(tensors) if tensors else torch.zeros(())).reshape(1), finish)

    def fetch(self) -> Numbers:
        """All numbers by tag. Waits for the device; a collective call where several processes share the batch."""
        numbers: Numbers = {}
        if self._parts:
            device = self._parts[0].values.device
            values = [part.values.to(device, wide(device)) for part in self._parts]
            together = torch.cat(self._added_up(values)).tolist()
            for part in self._parts:
                part.finish(together[: len(part.values)], numbers)
                together = together[len(part.values) :]
        return numbers

    def _added_up(self, values: list[Tensor]) -> list[Tensor]:
        """The numbers over the whole batch."""
        sums = [value for value, part in zip(values, self._parts, strict=True) if part.adds_up]
        if self.processes.total == 1 or not sums:
            return values
        added = iter(self.processes.add(torch.cat(sums)).split([len(value) for value in sums]))
        return [next(added) if part.adds_up else value for value, part in zip(values, self._parts, strict=True)]
