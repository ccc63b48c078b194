"""One fit under the monitor: when to hook into the network, and when to take which number."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack, closing
from typing import Any

import torch
from lightning import LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.distributed.collectives import Collectives
from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.collectors.dead_units import DeadUnitCollector
from gradvitals.monitor.collectors.grad_scaler import GradScalerState
from gradvitals.monitor.collectors.layer_hooks import LayerHooks
from gradvitals.monitor.collectors.loss_buffer import LossBuffer
from gradvitals.monitor.collectors.noise_scale import NoiseScaleCollector
from gradvitals.monitor.collectors.non_finite import NonFiniteGuard, clips_itself
from gradvitals.monitor.collectors.optimizer_step import CHANGED, OptimizerStep, Trained, parameters
from gradvitals.monitor.collectors.readings import Numbers, Readings
from gradvitals.monitor.collectors.replay import is_compiled, uncompiled
from gradvitals.monitor.first_batch import FirstBatch
from gradvitals.monitor.measurement import Measured
from gradvitals.monitor.schedule import Cadence
from gradvitals.monitor.settings import Settings
from gradvitals.vitals import ForwardOrder, Layer, are_copies, find_layers, is_activation
from gradvitals.vitals.layers import NORMS, outputs_of


class FitMonitor:
    """Hooks into a network for measured batches and hands on what was measured.

    Args:
        settings: what is measured, and when.
        trainer, network: whose fit it is.
        hand_on: is given what was measured of a step, once it is on the host.
        state: of :meth:`state_dict`, to go on from.
    """

    def __init__(
        self,
        settings: Settings,
        trainer: Trainer,
        network: LightningModule,
        hand_on: Callable[[Measured], None],
        state: dict[str, Any],
    ) -> None:
        self._settings, self.trainer, self._network, self._hand_on = settings, trainer, network, hand_on
        pace = (settings.every_n_steps, settings.first_steps, settings.spike_factor, settings.spike_steps)
        self._cadences = [Cadence(*pace) for _ in trainer.optimizers]
        for cadence, known in zip(self._cadences, state.get("cadences", []), strict=False):
            cadence.load_state_dict(known)
        self._clips = trainer.gradient_clip_val is not None or clips_itself(network)
        self._processes = Collectives.of(trainer)
        self._scale = GradScalerState(trainer, **state.get("scale", {}))
        self._guard: NonFiniteGuard | None = None
        if settings.on_non_finite != "warn" and self._scale.scaler is None:
            self._guard = NonFiniteGuard(settings.on_non_finite, trainer, network, state.get("skipped_steps", 0))
        self._noise = [NoiseScaleCollector(self._processes) for _ in trainer.optimizers] if settings.noise_scale else []
        self._dead = DeadUnitCollector(self._processes)
        self._losses = LossBuffer()
        self.data = BatchStatistics(max(settings.first_steps, 1), self._processes)
        self.first_look: FirstBatch | None = None
        self._symmetric: list[Layer] | None = None  # None: not looked at
        self.layers: list[Layer] = []
        self._step = 0  # as Lightning's loggers count
        self._counts: dict[int, int] = {}  # optimizer -> Trainer's count of steps at its latest
        self._stepped: set[int] = set()  # optimizers, in this batch
        self._hooks: ExitStack | None = None
        self._order: ForwardOrder | None = None
        self._watch: LayerHooks | None = None
        self._entry: nn.Module | None = None
        self._trained: dict[int, Trained] = {}
        self._pending: dict[int, OptimizerStep] = {}
        self._look_around()
        if state:
            self._go_on(state)
        for cadence in self._cadences if not self.layers else ():  # the first step tells the layers
            cadence.dense_until = max(cadence.dense_until, cadence.steps + 1)

    def _go_on(self, state: dict[str, Any]) -> None:
        """Take up what waits in a state for steps to come; of another network, nothing."""
        named = dict(self._network.named_modules())
        if any(name not in named for name in state["layers"]):
            return
        if known := [named[name] for name in state["layers"]]:
            self.layers = self._find_layers(known)
        self._losses.load_state_dict(state["losses"])
        self._dead.load_state_dict(state["dead"], self._watched, self._activations)
        self.data.load_state_dict(state["data"])
        for noise, waiting in zip(self._noise, state["noise"], strict=False):
            noise.load_state_dict(waiting)
        if state["symmetric"] is not None:
            self._symmetric = [layer for layer in self.layers if layer.index in state["symmetric"]]

    def _look_around(self) -> None:
        """Find the layers; their order is that of the next forward pass."""
        self._known = [id(p) for o in self.trainer.optimizers for p in parameters(o)]
        self._compiled = is_compiled(self._network)
        found = [layer.module for layer in self._find_layers() if layer.module is not None]
        self._watched = [module for module in found if not isinstance(module, NORMS)]
        self._activations = [module for module in self._network.modules() if is_activation(module)]
        self.layers = []

    def _find_layers(self, order: Iterable[nn.Module] = ()) -> list[Layer]:
        order = self._order.modules if self._order else order
        chosen = self._settings
        return find_layers(self._network, order, chosen.norm_layers, chosen.include, chosen.exclude)

    @property
    def _waits_for_steps(self) -> bool:
        """Whether something is measured after a step."""
        return self._clips or self._settings.updates

    @property
    def skipped_steps(self) -> int:
        """Steps that the guard kept from the weights."""
        return self._guard.skipped if self._guard else 0

    @property
    def finding(self) -> tuple[int, str] | None:
        """Step and place of the first gradient that was not finite, as the guard found it."""
        return self._guard.finding if self._guard else None

    # The moments of a batch, in their order

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        """Hook into the network where a step that is due may come."""
        self._step = self.trainer.fit_loop.epoch_loop._batches_that_stepped
        if self._guard is not None:
            self._guard.batch_begins(batch, batch_idx)
        for noise in self._noise:
            noise.batch_begins(batch)
        if self._hooks is None and any(cadence.awaited for cadence in self._cadences):
            self._hook()
            begins = self.first_look is None and self.trainer.global_step == 0
            if begins and self._watch is not None and len(self.trainer.optimizers) == 1:
                self.first_look = FirstBatch(self._network, batch, self._processes)
        if self._hooks is not None:
            self.data.see(batch)
        if self._watch is not None:
            self._dead.measured_batch(self._watched, self._activations, consecutive=not self._compiled)

    def _hook(self) -> None:
        if self._known != [id(p) for o in self.trainer.optimizers for p in parameters(o)]:  # one was made since
            self._look_around()
        self._hooks = ExitStack()
        self._hooks.enter_context(uncompiled(self._compiled))
        if not self.layers:
            self._order = self._hooks.enter_context(closing(ForwardOrder(self._network)))
        if self._settings.activations:
            watch = LayerHooks(self._network, self._watched, self._activations, self._entry)
            self._watch = self._hooks.enter_context(closing(watch))
        for optimizer in self.trainer.optimizers if self._waits_for_steps else ():
            self._hooks.callback(optimizer.register_step_post_hook(self._after_step).remove)

    def before_backward(self, loss: Tensor) -> None:
        """The loss is there, and with it the graph."""
        if self.first_look is not None and self.first_look.waits:
            self.first_look.backward_begins(loss, self._find_layers())

    def before_step(self, optimizer: Optimizer) -> None:
        """Gradients are complete and not yet clipped."""
        number = self.trainer.optimizers.index(optimizer)
        if self._counts.get(number) == self.trainer.global_step:
            return  # a closure that is called again within one step
        self._counts[number] = self.trainer.global_step
        self._stepped.add(number)
        if self._guard is not None:
            self._guard.before_clipping(optimizer)
        due = self._cadences[number].due
        self._cadences[number].step_taken()
        if self._noise:
            self._noise[number].step(parameters(optimizer), self._scale.of_gradients(optimizer), keep=due)
        if due:
            self._measure(number, optimizer)

    def _measure(self, number: int, optimizer: Optimizer) -> None:
        if not self.layers:
            self.layers = self._find_layers()
        chosen = self._settings
        trained = self._trained.get(number)
        if trained is None or not trained.still_holds(optimizer, self.layers):
            trained = self._trained[number] = Trained(optimizer, self.layers)
        if not trained.parameters:
            return
        step = OptimizerStep(
            trained,
            Readings(self._processes),
            self._scale.of_gradients(optimizer),
            suffix=self._suffix(number),
            clips=self._clips,
            updates=chosen.updates,
            directions=chosen.clip_cosine,
            histograms=chosen.histograms,
        )
        if self._watch is not None:
            self._add_watched(step, number, optimizer)
        if self._waits_for_steps:
            self._pending[number] = step
        else:
            self._finish(number, step)

    def _add_watched(self, step: OptimizerStep, number: int, optimizer: Optimizer) -> None:
        assert self._watch is not None
        others = [o for o in self.trainer.optimizers if o is not optimizer]
        theirs = {parameter for other in others for parameter in parameters(other)}
        ours = [layer for layer in self.layers if theirs.isdisjoint(layer.weights)]
        scale, self._entry = self._scale.value, self._watch.entry
        self._watch.take(ours, scale, step.readings)
        self._watch.take_input(f"grad_norm/input{self._suffix(number)}", scale, step.readings)

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        """The optimizer's own hook; a step that a loss scaler skips does not come here, or with unusable numbers."""
        number = self.trainer.optimizers.index(optimizer)
        step = self._pending.pop(number, None)
        if step is not None and not (self._guard and self._guard.dropped):
            step.after()
            self._finish(number, step)

    def _finish(self, number: int, step: OptimizerStep) -> None:
        """Bring the numbers to the host, with what else is waiting there."""
        readings, suffix = step.readings, self._suffix(number)
        self._losses.add_to(readings)
        self._scale.add_to(readings)
        self._dead.add_to(readings, self.layers)
        self.data.add_to(readings, outputs_of(self.layers))
        if self.first_look is not None:
            self.first_look.add_to(readings)
        self._add_symmetric(readings)
        if self._noise:
            self._noise[number].add_to(readings, f"noise_scale/total{suffix}")
        numbers = readings.fetch()
        losses, symmetric = self._losses.values, [layer.index for layer in self._symmetric or []]
        if self._guard is not None:
            numbers["non_finite/skipped_steps"] = self._guard.skipped
        changed = numbers.pop(CHANGED, None)
        total = numbers[f"grad_norm/total{suffix}"]
        diverged = self._losses.take()
        if self._scale.scaler is not None and not math.isfinite(total):
            self._skipped(diverged)
            return
        self._cadences[number].note(total)
        if diverged is None and not math.isfinite(total):
            diverged = self._step
        clipped = None if changed is None else bool(changed)
        measured = Measured(self._step, numbers, self.layers, clipped, diverged, step.histograms, losses, symmetric)
        self._hand(measured)

    def _add_symmetric(self, readings: Readings) -> None:
        """Which layers' units are copies of each other; looked at again only where they were so before."""
        some = self.layers if self._symmetric is None else self._symmetric
        candidates = [layer for layer in some if layer.weights and layer.weights[0].ndim > 1]
        found = self._symmetric = []
        if not candidates:
            return

        def finish(values: Sequence[float], _: Numbers) -> None:
            found.extend(
                layer for layer, value in zip(candidates, values, strict=True) if value > 0.999
            )  # a sum of shares

        copies = torch.stack([are_copies(layer.weights[0]) for layer in candidates])
        if any(is_sharded(layer.weights[0]) for layer in candidates):  # in the part of each process
            readings.add_shares(copies.double() / self._processes.total, finish)
        else:
            readings.add(copies, finish)

    def _hand(self, measured: Measured) -> None:
        if measured.diverged is not None and self._settings.on_non_finite == "stop":
            self.trainer.should_stop = True
        self._hand_on(measured)

    def _skipped(self, diverged: int | None) -> None:
        """A loss scaler skipped the step: there is nothing to tell, unless the loss itself was not finite."""
        if diverged is not None:
            self._hand(Measured(self._step, {}, self.layers, diverged=diverged))

    def batch_ends(self, loss: Any) -> None:
        """Keep the loss, and take the hooks off where no step is waited for."""
        if self._pending:  # of a step that a loss scaler skipped
            self._pending = {}
            self._skipped(self._losses.look(self._processes))
        self._losses.keep(loss, self._step)
        self._scale.batch_ends()
        self._dead.batch_ends(measured=self._hooks is not None)
        if self._stepped:
            self._all_had_their_turn()

    def _all_had_their_turn(self) -> None:
        if self._guard is not None:
            self._guard.batches_are_through()
        if self._hooks is not None:
            for number, cadence in enumerate(self._cadences):
                if cadence.due and number not in self._stepped:
                    cadence.step_missed()
            idle = any(cadence.missed and not cadence.awaited for cadence in self._cadences)
            if idle or not any(cadence.awaited for cadence in self._cadences):
                self._unhook()
        self._stepped = set()

    # The end

    def look_at_last_losses(self) -> tuple[int | None, list[float]]:
        """Step of a loss that was not finite since the last measured step, and those losses. Waits for the device."""
        return self._losses.look(self._processes), self._losses.values

    def state_dict(self) -> dict[str, Any]:
        """Plain values and tensors, for a checkpoint."""
        return {
            "cadences": [cadence.state_dict() for cadence in self._cadences],
            "scale": self._scale.state_dict(),
            "skipped_steps": self.skipped_steps,
            "layers": [layer.name for layer in self.layers],
            "losses": self._losses.state_dict(),
            "dead": self._dead.state_dict(),
            "data": self.data.state_dict(),
            "noise": [noise.state_dict() for noise in self._noise],
            "symmetric": None if self._symmetric is None else [layer.index for layer in self._symmetric],
        }

    def close(self) -> None:
        """Take every hook off."""
        self._unhook()
        if self.first_look is not None:
            self.first_look.close()
        self._dead.close()
        if self._guard is not None:
            self._guard.close()

    def _unhook(self) -> None:
        if self._hooks is not None:
            self._hooks.close()
        self._hooks = self._order = self._watch = None

    def _suffix(self, number: int) -> str:
        return f".{number}" if len(self._cadences) > 1 else ""
