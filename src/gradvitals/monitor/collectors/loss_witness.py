"""What the losses that are called say about learning: beside the best constant output, and beside exchanged outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any
from weakref import finalize

import torch
from torch import Tensor

from gradvitals.diagnosis.witness import HeadFact, Witness
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.vitals.loss_calls import SYMMETRIC, Constant, LossCall, LossCalls, compare, varies
from gradvitals.vitals.output_head import KINDS, HeadFault, head_faults

PACE = 1.1  # steps of one look over those of the look before
DENSE = 4  # first steps, which are all looked at
LEAST = 4  # samples of a batch that can be exchanged
SEED = 0
SIZE = 7  # numbers of a look


class LossWitness(Collector):
    """Looks at the loss calls of the first measured steps, and of later ones at a geometric pace.

    A look costs some evaluations of the loss function, and no pass through the network.

    Args:
        loop: whose steps are counted.
        see_labels: is given the numbers of classes, ``(samples,)``, of each call that has them.
    """

    def __init__(self, loop: TrainingLoop, see_labels: Callable[[Tensor], None] | None = None) -> None:
        self._loop, self._see_labels = loop, see_labels
        self._next = 0
        self._mode: LossCalls | None = None
        self._constants: dict[int, Constant] = {}
        self._generator = torch.Generator().manual_seed(SEED)
        self._rows: list[Tensor] = []  # of the micro-batches of a step
        self._head: dict[str, HeadFault] = {}
        self._indexed = False

    def measured_batch_begins(self, batch: Any) -> None:
        if self._mode is None and self._loop.optimizer_steps >= self._next:
            self._mode = LossCalls()
            self._forgotten = finalize(self, self._mode.leave)  # with a loop that was broken off
        if self._mode is not None:  # left where a loss scaler has skipped the step
            self._mode.take()  # of a batch without a backward pass
            self._mode.__enter__()

    def before_measured_backward(self, loss: Tensor) -> None:
        if self._mode is not None:
            calls = self._mode.take()
            rows = [self._look(number, call) for number, call in enumerate(calls) if call.samples >= LEAST]
            if rows:
                own = loss.detach().double().reshape(-1).sum() * self._loop.accumulates
                self._rows.append(torch.cat([torch.stack(rows).sum(0), own.reshape(1)]))

    def _look(self, number: int, call: LossCall) -> Tensor:
        """The numbers of a call: zeros where its targets are all alike, so that they teach nothing."""
        constant = self._constants.setdefault(number, Constant())
        numbers = compare(call, constant, self._generator)
        self._indexed = self._indexed or call.is_indexed
        if self._see_labels is not None and call.is_indexed and call.targets is not None and call.targets.ndim == 1:
            self._see_labels(call.targets)
        row = torch.where(varies(call), numbers, torch.zeros_like(numbers))
        targets = call.targets.detach().double() if call.targets is not None and call.function in SYMMETRIC else None
        size = targets.square().mean().sqrt() if targets is not None else torch.zeros((), dtype=torch.float64)
        for fault in head_faults(call):
            self._head.setdefault(fault.kind, fault)
        return torch.cat([row, size.reshape(1).to(row.device)])

    def before_measured_step(self) -> None:
        """Leaves the mode, which would see each operation of the measurement and of the step."""
        if self._mode is not None:
            self._mode.leave()

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        if self._mode is None:
            return
        self.close()
        taken = self._loop.optimizer_steps
        self._next = taken if taken < DENSE else math.ceil(PACE * taken)
        rows, head = self._rows, self._head
        self._rows, self._head = [], {}
        device = rows[0].device if rows else torch.device("cpu")
        means = torch.stack(rows).mean(0) if rows else torch.zeros(SIZE, dtype=torch.float64)
        shares = torch.zeros(len(KINDS), dtype=torch.float64, device=device)  # as many in each process
        for kind, fault in head.items():
            shares[KINDS.index(kind)] = fault.share

        def finish(values: Sequence[float]) -> None:
            measurement.are_classes = self._indexed
            measurement.witness = Witness.of(*values[:SIZE])
            found = [(head[kind], share) for kind, share in zip(KINDS, values[SIZE:], strict=True) if kind in head]
            measurement.head = [HeadFact(f.kind, f.loss, f.activation, share) for f, share in found if share > 0]

        readings.add_means(torch.cat([means, shares]), finish)

    def hooks_come_off(self) -> None:
        self.close()

    def state_dict(self) -> dict[str, Any]:
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._next = state["next"]

    def close(self) -> None:
        if self._mode is not None:
            self._mode.__exit__()
            self._forgotten.detach()
        self._mode = None
