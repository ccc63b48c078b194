"""Numbers that are not finite: kept from the weights, and named."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim import Optimizer

from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.optimizer_step import gradients, parameters
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.isolation import Isolation
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import is_compiled, uncompiled
from gradvitals.vitals import Layer, NonFinite, are_finite, first_non_finite
from gradvitals.vitals.hooks import buffers_kept

log = logging.getLogger(__name__)

# The parts of the monitor, as an error names them: the guard, which decides what a step does, and its search.
GUARD, PLACE = "skipped_steps", "place_of_non_finite"


class NonFiniteGuard(Collector):
    """Keeps the weights finite: a step whose gradient is not is skipped, or ends the fit.

    Moving statistics are restored to their values before the forward pass of that step.

    One total norm per optimizer step; where the loop clips by norm, it is the one that clipping computes. The first
    time, the batch is repeated with hooks, to name where the first such number arises; not where the loop cannot repeat
    a step or a forward pass needs other processes: there the gradients show it.

    Args:
        mode: ``skip`` or ``stop``.
        loop, network: whose fit it is. A loss scaler, which skips such steps itself, needs no guard.

    Attributes:
        skipped: steps so far.
        dropped: whether the latest step was one of them.
        finding: step and place of the first one.
    """

    def __init__(self, mode: str, loop: TrainingLoop, network: nn.Module, isolation: Isolation) -> None:
        self._isolation = isolation
        self.skipped, self.dropped = 0, False
        self.finding: tuple[int, str] | None = None
        self._mode, self._ends = mode, mode == "stop"
        self._loop, self._network = loop, network
        self._batches: list[tuple[Any, int, Tensor]] = []
        self._has_stepped = False
        self._statistics: list[Tensor] = []
        self._kept: list[Tensor] = []  # before the step; a forward spoils them at once
        self._find_statistics()
        self._stop_watching: Callable[[], None] | None = loop.watch_clipping(
            self._isolation.within(GUARD)(self._see_norm)
        )

    def _find_statistics(self) -> None:
        """Finds the moving statistics; those of a lazy network exist from its first forward pass on."""
        buffers = list(self._network.buffers())
        self._is_lazy = any(map(is_lazy, buffers))
        if not self._is_lazy:
            self._statistics = [b for b in buffers if b.is_floating_point() and b.ndim]
            self._kept = [buffer.clone() for buffer in self._statistics]

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        if self._is_lazy:
            self._find_statistics()
        if self._kept and not self._batches:
            torch._foreach_copy_(self._kept, self._statistics)
        if self._loop.can_repeat:
            self._batches.append((batch, batch_idx, torch.random.get_rng_state()))

    def before_step(self, number: int, optimizer: Optimizer, is_measured: bool) -> None:
        """Checks the gradient, unless clipping will."""
        self.dropped, self._has_stepped = False, True
        if self._stop_watching is None and not are_finite(gradients(parameters(optimizer))):
            self._drop(optimizer)

    def _see_norm(self, optimizer: Optimizer, norm: Any) -> None:
        if not math.isfinite((norm.full_tensor() if is_sharded(norm) else norm).item()):
            self._drop(optimizer)

    def _drop(self, optimizer: Optimizer) -> None:
        self.skipped, self.dropped = self.skipped + 1, True
        if self._kept:
            torch._foreach_copy_(self._statistics, self._kept)
        if self.finding is None:
            found, came = self._first_found(
                self._loop.processes.gather(self._isolation.call(PLACE, self._find, optimizer))
            )
            self.finding = (self._loop.step, came)
            self._ends = self._mode == "stop" or (found is not None and found.where == "parameter")
            if self._loop.processes.rank == 0:
                log.warning(self._sentence(*self.finding))
        for parameter in parameters(optimizer):
            parameter.grad = None  # optimizers pass over parameters without a gradient
        if self._ends:
            self._loop.should_stop = True

    def _first_found(self, found: list[NonFinite | None]) -> tuple[NonFinite | None, str]:
        """What came first of what each process found, in words too: a gradient is the last to show it."""
        ranks = [rank for rank, one in enumerate(found) if one is not None]
        if not ranks:
            return None, "nothing when the batch is repeated"
        rank = min(ranks, key=lambda rank: found[rank].where == "gradient")  # type: ignore[union-attr]
        own = len(found) > 1 and found[rank].where != "gradient"  # type: ignore[union-attr]
        return found[rank], f"{found[rank]}{f' (in process {rank})' if own else ''}"

    def _sentence(self, step: int, came: str) -> str:
        then = "the fit ends" if self._ends else "the step is skipped, as further ones will be"
        if self._ends and self._mode == "skip":
            then += ": no step that is skipped mends a parameter"
        return f"the gradient is not finite at step {step}: first {came}. By monitor.on_non_finite={self._mode} {then}"

    def _find(self, optimizer: Optimizer) -> NonFinite | None:
        if not _needs_others(self._network):
            for batch, batch_idx, rng in self._batches:
                if found := self._find_in(batch, batch_idx, rng):
                    return found
        return _in_gradients(self._network, optimizer)

    def _find_in(self, batch: Any, batch_idx: int, rng: Tensor) -> NonFinite | None:
        """Repeats a batch with the same random numbers, so that no module, metric or generator remembers it."""
        with (
            self._loop.repeat(batch, batch_idx) as loss,
            buffers_kept(self._network),
            torch.random.fork_rng(),
            uncompiled(is_compiled(self._network)),
        ):
            torch.random.set_rng_state(rng)
            return first_non_finite(self._network, batch, loss)

    def add_to(self, readings: Readings, measurement: Measurement, number: int) -> None:
        measurement.totals["non_finite/skipped_steps"] = self.skipped

    def batch_ends(self, outputs: Any, step: int, is_measured: bool) -> None:
        if self._has_stepped:
            self._batches, self._has_stepped = [], False

    def state_dict(self) -> int:
        return self.skipped

    def load_state_dict(self, state: int) -> None:
        self.skipped = state

    def close(self) -> None:
        if self._stop_watching is not None:
            self._stop_watching()
        self._batches = []


def _needs_others(network: nn.Module) -> bool:
    """Whether a forward pass waits for other processes, which may not repeat the batch as this one does."""
    synced = any("SyncBatchNorm" in type(module).__name__ for module in network.modules())
    return synced or any(map(is_sharded, network.parameters()))


def _in_gradients(module: nn.Module, optimizer: Optimizer) -> NonFinite | None:
    ours = set(parameters(optimizer))
    named = [(name, p.grad) for name, p in module.named_parameters() if p in ours and p.grad is not None]
    bad = [name for name, gradient in named if not are_finite([gradient])]
    return NonFinite("gradient", bad[-1]) if bad else None  # the last one is where backward began


def warning(
    step: int, measurement: Measurement | None, known: Mapping[str, float], known_at: int, layers: Sequence[Layer]
) -> tuple[str, str]:
    """Returns where a loss or gradient that is not finite shows, and the sentence that says so.

    Args:
        step: of the first loss that was not finite.
        measurement: the next one; None where the fit ended before.
        known: ``grad_norm`` by label at the measurement before.
        known_at: the step of that.
    """
    where = non_finite_layer(measurement) if measurement else None
    words = [f"not finite: the loss or its gradient, from step {step} on"]
    if measurement and where:
        at = "" if measurement.step == step else f"at step {measurement.step}, the next that was measured, "
        words.append(f"{at}it shows in {where}")
    if named := [layer for layer in layers if layer.label in known]:
        largest = max(named, key=lambda layer: known[layer.label])
        size = f"{largest.name} ({largest.kind}) has the largest gradient, {known[largest.label]:.3g}"
        words.append(f"at step {known_at}, the last one before, {size}")
    return where or "the loss", "; ".join(words) + ". monitor.on_non_finite=stop would end there and find the layer"


def non_finite_layer(measurement: Measurement) -> str | None:
    """Returns the layer that a measurement names: in order of the forward pass, then of the backward pass.

    Example:
        >>> measurement = Measurement(0, [Layer("net", 0, "00.net", "Linear", 4)])
        >>> measurement.by_layer = {"weight_norm": [1.0], "activation_grad_norm": [float("inf")]}
        >>> non_finite_layer(measurement)
        'the gradient of the loss with respect to the output of net (Linear)'
    """
    layers = measurement.layers
    for quantity, where, order in (
        ("weight_norm", "parameter", layers),
        ("activation_mean", "forward", layers),
        ("activation_grad_norm", "backward", layers[::-1]),
        ("grad_norm", "gradient", layers[::-1]),
    ):
        for layer in order:
            value = measurement.get(quantity, layer)
            if value is not None and not math.isfinite(value):
                return str(NonFinite(where, layer.name, layer.kind))
    return None
