"""Numbers on their way from the device, and from all processes, to the host."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradvitals.distributed.collectives import ALONE, Collectives
from gradvitals.monitor.isolation import Isolation
from gradvitals.vitals.norms import joint_norm, norms, shares_of_squares, wide

Finish = Callable[[Sequence[float]], None]


@dataclass
class _Part:
    values: Tensor  # (n,)
    finish: Finish
    adds_up: bool  # over the processes
    owner: str  # the part of the monitor


class Readings:
    """Collects tensors, reduces sums over all processes in one call, and brings everything to the host in one copy.

    Args:
        processes: those that share the batch; they must collect alike.
        sharded: whether some of the tensors whose norms are added are; see
            :func:`gradvitals.distributed.dtensor.is_sharded`.
        isolation: of the parts of the monitor that add to it.

    Example:
        >>> readings, found = Readings(), {}
        >>> readings.add(torch.tensor([3.0, 4.0]), lambda values: found.update(norm=math.hypot(*values)))
        >>> readings.add_one(torch.tensor(2.0), found, "loss")
        >>> readings.fetch(); found
        {'norm': 5.0, 'loss': 2.0}
    """

    def __init__(
        self, processes: Collectives = ALONE, sharded: bool = False, isolation: Isolation | None = None
    ) -> None:
        self.processes, self.sharded, self.isolation = processes, sharded, isolation or Isolation()
        self._parts: list[_Part] = []
        self._owner = ""
        self._last: list[tuple[str, Callable[[], None]]] = []

    def gather(self, owner: str, add_to: Callable[..., object], *arguments: Any) -> None:
        """Calls a function of a part of the monitor, which adds what it has to report."""
        self._owner = owner
        self.isolation.call(owner, add_to, *arguments)

    def add(self, values: Tensor, finish: Finish) -> None:
        """Adds numbers ``(n,)`` that are the same in each process; ``finish`` is given them on the host, in the order
        in which they were added."""
        self._parts.append(_Part(values, finish, adds_up=False, owner=self._owner))

    def add_one(self, value: Tensor, numbers: dict[str, float], name: str) -> None:
        """Adds one number ``()`` or ``(1,)``, to be stored under its name."""
        self.add(value.reshape(1), lambda values: numbers.update({name: values[0]}))

    def add_sums(self, values: Tensor, finish: Finish) -> None:
        """Adds sums ``(n,)`` over this process's share of the batch; ``finish`` is given those over the whole."""
        copies = self.processes.copies
        self.add_shares(values / copies if copies > 1 else values, finish)

    def add_means(self, values: Tensor, finish: Finish) -> None:
        """Adds means ``(n,)`` over this process's share; ``finish`` is given those over the whole, of equal shares."""
        self.add_sums(values / self.processes.number, finish)

    def add_shares(self, values: Tensor, finish: Finish) -> None:
        """Adds numbers ``(n,)`` that are summed over all processes."""
        self._parts.append(_Part(values, finish, adds_up=True, owner=self._owner))

    def add_norms(self, tensors: Sequence[Tensor], finish: Finish) -> None:
        """Adds the L2 norm of each tensor; they are the same in each process, or sharded."""
        if not self.sharded:
            self.add(norms(tensors), finish)
            return
        squares = shares_of_squares(tensors, self.processes.total)
        self.add_shares(squares, lambda values: finish([math.sqrt(value) for value in values]))

    def add_joint_norm(self, tensors: Sequence[Tensor], finish: Finish) -> None:
        """Adds the one norm of all tensors together, 0 where there is none; as :meth:`add_norms`."""
        if self.sharded and tensors:
            self.add_norms(tensors, lambda values: finish([math.hypot(*values)]))
        else:
            self.add((joint_norm(tensors) if tensors else torch.zeros(())).reshape(1), finish)

    def when_fetched(self, finish: Callable[[], None]) -> None:
        """Has ``finish`` called after everything was handed to whom it concerns."""
        self._last.append((self._owner, finish))

    def fetch(self) -> None:
        """Hands everything to whom it concerns. Waits for the device; a collective call where several processes share
        the batch."""
        self.isolation.agree()
        self._parts = [part for part in self._parts if part.owner not in self.isolation.off]
        if self._parts:
            device = self._parts[0].values.device
            values = [part.values.to(device, wide(device)) for part in self._parts]
            together = torch.cat(self._added_up(values)).tolist()
            for part in self._parts:
                self.isolation.call(part.owner, part.finish, together[: len(part.values)])
                together = together[len(part.values) :]
        for owner, finish in self._last:
            self.isolation.call(owner, finish)

    def _added_up(self, values: list[Tensor]) -> list[Tensor]:
        sums = [value for value, part in zip(values, self._parts, strict=True) if part.adds_up]
        if self.processes.total == 1 or not sums:
            return values
        added = iter(self.processes.add(torch.cat(sums)).split([len(value) for value in sums]))
        return [next(added) if part.adds_up else value for value, part in zip(values, self._parts, strict=True)]
