"""What the optimizers hold and change: parameters without optimizer or gradient, rates, and processes that differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradvitals.diagnosis.training_state import TrainingState
from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.optimizer_step import gradients, parameters
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork
from gradvitals.vitals import Layer
from gradvitals.vitals.norms import joint_norm, norms, sums
from gradvitals.vitals.trained_parameters import (
    CalledModules,
    coupled_decay,
    held_by,
    learning_rate,
    share_trained,
    weight_decay,
)

MOST = 100  # names that are kept


class TrainingStateCollector(Collector):
    """Looks at all parameters in measured steps, on the host.

    The device is asked only for gradients of layers that had none so far, for gradients that were not zeroed, and for
    the weights' sums where several processes have copies of them.
    """

    def __init__(self, network: WatchedNetwork, loop: TrainingLoop) -> None:
        self._network, self._loop = network, loop
        self._watch: CalledModules | None = None  # of the first measured step
        self._called: list[str] | None = None  # layers
        self._strangers: list[str] = []
        self._idle: dict[int, list[str]] = {}  # optimizer -> layers without a gradient since the start
        self._layers: Sequence[Layer] | None = None
        self._named: list[tuple[str, nn.Parameter]] = []
        self._own: set[int] = set()  # their ids
        self._of_layer: dict[str, list[nn.Parameter]] = {}
        self._steps = -1  # taken before the latest backward pass of a measured step
        self._is_first_backward = False
        self._left: Tensor | None = None  # norm of the gradients that it found
        self._facts: dict[str, Any] = {}  # of a TrainingState
        self._share = 1.0  # that is trained
        self._counted: Any = None  # what that was counted of

    def measured_batch_begins(self, batch: Any) -> None:
        if self._called is None and self._watch is None:
            network, held = self._network, held_by(self._loop.optimizers)
            self._watch = CalledModules(network.module, held, sees_strangers=not network.is_compiled)
        steps = self._loop.optimizer_steps
        self._is_first_backward, self._steps = steps != self._steps and steps > 0, steps

    def before_measured_backward(self, loss: Tensor) -> None:
        """Looks for gradients of the step before, which should be zero when those of the next one are added."""
        if not self._is_first_backward:
            return
        self._is_first_backward = False
        optimizers = self._loop.optimizers
        left = gradients(parameters(optimizers[0])) if len(optimizers) == 1 else []
        self._left = joint_norm(left) if left and not any(map(is_sharded, left)) else None

    def measured_step_begins(self, readings: Readings, number: int, optimizer: Optimizer) -> None:
        self._look_at_layers()
        optimizers, held_by_each = self._loop.optimizers, [held_by([one]) for one in self._loop.optimizers]
        held = set[int]().union(*held_by_each)
        unheld = [n for n, p in self._named if id(p) not in held and p.requires_grad and p.grad is not None]
        self._facts = {
            "unheld": tuple(unheld[:MOST]),
            "foreign": sum(id(p) not in self._own and p.grad is None for p in parameters(optimizer)),
            "unregistered": tuple(self._strangers[:MOST]),
            "frozen": tuple(self._frozen()[:MOST]),
            "trained_share": self._share_trained(held),
            "rate": learning_rate(optimizers),
            "optimizer": number,
            "own_rate": learning_rate([optimizer]),
            "held_twice": sum(map(len, held_by_each)) > len(held),
            "decay": weight_decay(optimizers),
        }
        self._add_idle(readings, number, held_by_each[number])
        if self._left is not None:
            readings.add(self._left.reshape(1), self._finish_left)
            self._left = None

    def _look_at_layers(self) -> None:
        layers = self._network.layers
        if self._watch is not None:
            self._called = [layer.name for layer in layers if layer.module in self._watch.called]
            self._strangers = self._watch.strangers
            if len(self._loop.optimizers) == 1:  # else the others' forward passes are still to come
                self.hooks_come_off()
        if self._layers is not layers:
            self._layers, self._counted = layers, None
            self._named = list(self._network.module.named_parameters())
            self._own = {id(parameter) for _, parameter in self._named}
            self._of_layer = {layer.name: list(layer.module.parameters()) for layer in layers if layer.module}

    def _share_trained(self, held: set[int]) -> float:
        """Counts numbers only where something has changed."""
        counted = held, [(p.requires_grad, is_lazy(p)) for _, p in self._named]
        if counted != self._counted:
            self._counted, self._share = counted, share_trained((p for _, p in self._named), held)
        return self._share

    def _frozen(self) -> list[str]:
        called = [name for name in self._called or () if name in self._of_layer]
        return [name for name in called if not any(p.requires_grad for p in self._of_layer[name])]

    def _add_idle(self, readings: Readings, number: int, held: set[int]) -> None:
        """Looks only at layers that had no gradient so far; a sharded gradient counts as one."""
        some = self._idle.get(number, self._called or ())
        trained = {n: [p for p in self._of_layer.get(n, ()) if p.requires_grad and id(p) in held] for n in some}
        received = {name: gradients(of_layer) for name, of_layer in trained.items() if of_layer}
        self._idle[number] = [name for name, found in received.items() if not any(map(is_sharded, found))]
        asked = [(name, gradient) for name in self._idle[number] for gradient in received[name]]

        def finish(values: Sequence[float]) -> None:
            alive = {name for (name, _), value in zip(asked, values, strict=True) if value != 0}
            self._idle[number] = [name for name in self._idle[number] if name not in alive]

        if asked:
            readings.add(norms([gradient for _, gradient in asked]), finish)

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        self._add_replicas(readings)
        readings.when_fetched(lambda: self._finish(measurement, number))

    def _add_replicas(self, readings: Readings) -> None:
        processes, weights = readings.processes, [p for _, p in self._named if p.requires_grad]
        if processes.total == 1 or not weights or any(map(is_sharded, weights)):
            return
        own = torch.stack([torch.stack(sums(weight)) for weight in weights]).sum(0)  # sum and sum of squares of all
        places = own.new_zeros(processes.total, len(own))
        places[processes.rank] = own
        readings.add_shares(places.flatten(), self._finish_replicas)

    # On the host

    def _finish_left(self, values: Sequence[float]) -> None:
        self._facts["not_zeroed"] = values[0] > 0

    def _finish_replicas(self, values: Sequence[float]) -> None:
        sums, sizes = values[::2], [math.sqrt(square) for square in values[1::2]]
        spread = max(max(numbers) - min(numbers) for numbers in (sums, sizes))
        self._facts["replicas_differ"] = spread / max(sizes) if max(sizes) else 0.0

    def _finish(self, measurement: Measurement, number: int) -> None:
        known = [norm for norm in measurement.by_layer.get("weight_norm", ()) if norm is not None]
        weight, gradient = math.hypot(*known) if known else None, measurement.total("grad_norm/total")
        decay = coupled_decay(self._loop.optimizers[number])
        pull = decay * weight / gradient if decay is not None and weight is not None and gradient else None
        idle = tuple(self._idle.get(number, ())[:MOST])
        measurement.state = TrainingState(**self._facts, without_gradient=idle, weight=weight, pull=pull)

    def hooks_come_off(self) -> None:
        self.close()

    def close(self) -> None:
        if self._watch is not None:
            self._watch.close()
        self._watch = None

    def state_dict(self) -> dict[str, Any]:
        idle = {number: list(names) for number, names in self._idle.items()}
        return {"called": self._called, "strangers": list(self._strangers), "idle": idle}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._called, self._strangers, self._idle = state["called"], state["strangers"], dict(state["idle"])
