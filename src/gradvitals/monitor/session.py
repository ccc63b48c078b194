"""One fit under the monitor: when to hook into the network, and when to take which number."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import ExitStack, closing
from typing import Any
from weakref import finalize

from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.monitor.collectors.batch_statistics import BatchStatistics
from gradvitals.monitor.collectors.collector import Collector
from gradvitals.monitor.collectors.dead_units import DeadUnitCollector
from gradvitals.monitor.collectors.grad_scaler import GradScalerState, gradient_scale, loss_scale, scale_in_step
from gradvitals.monitor.collectors.identical_units import IdenticalUnits
from gradvitals.monitor.collectors.layer_hooks import HOOKS, PARTS, LayerHooks
from gradvitals.monitor.collectors.loss_buffer import LossBuffer
from gradvitals.monitor.collectors.loss_witness import LossWitness
from gradvitals.monitor.collectors.noise_scale import NoiseScaleCollector
from gradvitals.monitor.collectors.non_finite import GUARD, PLACE, NonFiniteGuard
from gradvitals.monitor.collectors.optimizer_step import STEP_PARTS, OptimizerStep, Trained, parameters
from gradvitals.monitor.collectors.readings import Readings
from gradvitals.monitor.collectors.training_state import TrainingStateCollector
from gradvitals.monitor.first_batch import FirstBatch
from gradvitals.monitor.isolation import Isolation
from gradvitals.monitor.loop import TrainingLoop
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.network import WatchedNetwork, uncompiled, uncompiled_call
from gradvitals.monitor.schedule import Cadence
from gradvitals.monitor.settings import Settings
from gradvitals.vitals import ForwardOrder, Layer
from gradvitals.vitals.function_modes import put_back, set_aside

# The parts of the monitor that are no collectors, as an error names them; the last ones are of the Monitor itself.
NETWORK, SESSION = "network", "all"
WITHOUT_GRADIENTS = ("losses", "state", "witness")  # parts that have something to report where no gradient arrives
VERDICT, PREFLIGHT, PUBLISHING, NON_FINITE = "verdict", "preflight", "publishing", "non_finite"
METRICS = "metrics"
OTHERS = (*STEP_PARTS, *PARTS, HOOKS, PLACE, NETWORK, VERDICT, PREFLIGHT, PUBLISHING, NON_FINITE, METRICS)


class Session:
    """Hooks into a network for measured batches and hands on each measurement.

    The training loop calls, in this order: :meth:`batch_begins`, :meth:`before_backward`, :meth:`before_step` (once per
    optimizer step, before clipping), :meth:`batch_ends`; and :meth:`close` at last, whatever happened. A loop that
    calls :meth:`before_step` after clipping calls :meth:`after_backward`, too.

    Args:
        hand_on: is given each measurement, once it is on the host.
        state: of :meth:`state_dict`, to resume from; empty where the fit begins.

    Attributes:
        data: what the first batches showed.
        isolation: runs the parts of the monitor, and switches off those that fail.
        has_players: whether several optimizers have losses of their own, which need not fall; not where all of them
            step after one backward pass.
        losses: since the last measured step.
        first_batch: the pre-flight; None where there is none.
    """

    def __init__(
        self,
        settings: Settings,
        loop: TrainingLoop,
        network: nn.Module,
        hand_on: Callable[[Measurement], None],
        state: dict[str, Any],
    ) -> None:
        self.loop, self._settings, self._hand_on = loop, settings, hand_on
        self.network = WatchedNetwork(network, settings, loop.optimizers)
        pace = (settings.every_n_steps, settings.first_steps, settings.spike_factor, settings.spike_steps)
        self._cadences = [Cadence(*pace) for _ in loop.optimizers]
        self._waits_for_steps = loop.clips or settings.updates
        self.losses = LossBuffer(loop)
        self.data = BatchStatistics(max(settings.first_steps, 1), loop.processes)
        device = next((parameter.device for parameter in network.parameters()), None)
        isolation = self.isolation = Isolation(loop.processes, OTHERS, (GUARD,), device, self._switched_off)
        guarded = settings.on_non_finite != "warn" and loop.scaler is None
        self._guard = NonFiniteGuard(settings.on_non_finite, loop, network, isolation) if guarded else None
        is_first = settings.activations and loop.optimizer_steps == 0 and len(loop.optimizers) == 1
        of_first = isolation.within("first_batch")
        self.first_batch = FirstBatch(self.network, loop.processes, of_first) if is_first else None
        of_dead, watches = isolation.within("dead"), settings.activations
        collectors = {  # a new one is added here; the key is that of its state in a checkpoint
            GUARD: self._guard,
            "noise": NoiseScaleCollector(loop) if settings.noise_scale else None,
            "losses": self.losses,
            "scale": GradScalerState(loop.scaler) if loop.scaler is not None else None,
            "dead": DeadUnitCollector(self.network, loop.processes, of_dead) if watches else None,
            "data": self.data,
            "first_batch": self.first_batch,
            "symmetric": IdenticalUnits(self.network),
            "witness": LossWitness(loop, None if loop.passes_labels else self.data.add_labels),
            "state": TrainingStateCollector(self.network, loop),  # the last one: it uses what the others found
        }
        self._collectors: dict[str, Collector] = {key: c for key, c in collectors.items() if c is not None}
        isolation.parts += collectors
        self._calls = {name: self._implemented(name) for name in vars(Collector) if not name.startswith("_")}
        self._is_over = False
        self._step = 0  # as the loggers count
        self._counts: dict[int, int] = {}  # optimizer -> steps taken in all at its latest
        self._stepped: set[int] = set()  # optimizers, in this batch
        self._backwards = 0  # passes in this batch
        self.has_players = len(loop.optimizers) > 1
        self._hooks: ExitStack | None = None
        self._eager = uncompiled(True)
        finalize(self, self._eager.leave)  # of a loop that was broken off
        self._watch: LayerHooks | None = None
        self._entry: nn.Module | None = None
        self._trained: dict[int, Trained] = {}
        self._unclipped: dict[int, OptimizerStep] = {}  # optimizer -> its gradients after the latest backward pass
        self._pending: dict[int, OptimizerStep] = {}
        if state:
            self._resume(state)
        for cadence in self._cadences if not self.network.layers else ():  # the first step shows the layers
            cadence.dense_until = max(cadence.dense_until, cadence.steps + 1)

    def _implemented(self, method: str) -> list[tuple[str, Callable[..., None]]]:
        """One method of the collectors that have it: between measured steps nothing is called in vain."""
        collectors, default = self._collectors.items(), getattr(Collector, method)
        return [(key, getattr(c, method)) for key, c in collectors if getattr(type(c), method) is not default]

    def _switched_off(self, part: str) -> None:
        for method, calls in self._calls.items():
            self._calls[method] = [(key, call) for key, call in calls if key != part]
        if part in self._collectors:
            self._collectors[part].close()

    def _resume(self, state: dict[str, Any]) -> None:
        for cadence, known in zip(self._cadences, state["cadences"], strict=False):
            cadence.load_state_dict(known)
        if not self.network.resume(state["layers"]):
            return
        for key, collector in self._collectors.items():
            if state.get(key) is not None:
                self.isolation.call(key, collector.load_state_dict, state[key])

    @property
    def skipped_steps(self) -> int:
        return self._guard.skipped if self._guard else 0

    @property
    def is_due(self) -> bool:
        """Whether the next batch is one to hook into."""
        if not self._is_over:
            for cadence in self._cadences:  # a generator would cost more than the question
                if cadence.awaited:
                    return True
        return False

    @property
    def finding(self) -> tuple[int, str] | None:
        return self._guard.finding if self._guard else None

    # One batch, in the order of the calls

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        if self._is_over:
            return
        try:
            self._step = self.loop.step
            for key, begins in self._calls["batch_begins"]:
                try:
                    begins(batch, batch_idx)
                except Exception as error:
                    self.isolation.fails(key, error)
            if self._hooks is None and self.is_due:
                self._hook()
            if self._hooks is not None:
                for key, begins in self._calls["measured_batch_begins"]:
                    self.isolation.call(key, begins, batch)
        except Exception as error:
            self._fails(error)

    def _hook(self) -> None:
        optimizers, network = self.loop.optimizers, self.network
        self._hooks = ExitStack()
        self.isolation.call(NETWORK, network.refresh, optimizers)
        if network.is_compiled:
            self._hooks.enter_context(self._eager)
        if not network.layers:
            order = ForwardOrder(network.module, self.isolation.within(NETWORK))
            network.order = self._hooks.enter_context(closing(order))
        if self._settings.activations:
            self.isolation.call(HOOKS, self._watch_layers, self._hooks)
        for optimizer in optimizers if self._waits_for_steps else ():
            self._hooks.callback(optimizer.register_step_post_hook(uncompiled_call(self._after_step)).remove)

    def _watch_layers(self, hooks: ExitStack) -> None:
        self._watch = hooks.enter_context(closing(LayerHooks(self.network, self._entry, self.isolation)))

    def before_backward(self, loss: Tensor) -> None:
        """Shows the loss, and with it the graph, to the collectors."""
        self._backwards += 1
        for key, look in self._calls["before_backward"]:
            try:
                look(loss)
            except Exception as error:
                self.isolation.fails(key, error)
        if self._hooks is not None:
            aside = set_aside()  # each operation of a look would pass through the mode that sees the loss calls
            try:
                for key, look in self._calls["before_measured_backward"]:
                    self.isolation.call(key, look, loss)
            finally:
                put_back(aside)

    def after_backward(self) -> None:
        """Measures the gradients of optimizers whose step is due, before something clips them."""
        if self._is_over:
            return
        try:
            for number, optimizer in enumerate(self.loop.optimizers):
                if self._cadences[number].due and number not in self._stepped:
                    layers = self.network.layers or self.network.layers_in()
                    if step := self._begun(number, optimizer, layers, loss_scale(self.loop.scaler)):
                        step.note_versions()
                        self._unclipped[number] = step
        except Exception as error:
            self._fails(error)

    def gradients_unscaled(self, optimizer: Optimizer) -> None:
        """Takes note that a loss scaler, and no clipping, has changed the gradients."""
        if step := self._unclipped.get(self.loop.optimizers.index(optimizer)):
            step.note_versions()

    def before_step(self, optimizer: Optimizer) -> None:
        """Measures gradients that are complete and not yet clipped, where the step is due."""
        if self._is_over:
            return
        try:
            number, taken = self.loop.optimizers.index(optimizer), self.loop.optimizer_steps
            if self._counts.get(number) == taken:
                return  # a closure that is called again within one step
            self._counts[number] = taken
            self._stepped.add(number)
            due = self._cadences[number].due
            for key, look in self._calls["before_step"]:
                try:
                    look(number, optimizer, due)
                except Exception as error:
                    self.isolation.fails(key, error)
            self._cadences[number].step_taken()
            if due:
                for key, begins in self._calls["before_measured_step"]:
                    self.isolation.call(key, begins)
                self._measure(number, optimizer)
        except Exception as error:
            self._fails(error)

    def step_passed(self, optimizer: Optimizer) -> None:
        """Counts a step of which nothing was seen."""
        self._cadences[self.loop.optimizers.index(optimizer)].step_taken()

    def _measure(self, number: int, optimizer: Optimizer) -> None:
        network, step = self.network, self._unclipped.pop(number, None)
        if not network.layers:
            network.layers = list(step.measurement.layers) if step else network.layers_in()
        if step is not None:
            step.look_for_clipping()
        else:
            step = self._begun(number, optimizer, network.layers, gradient_scale(self.loop.scaler, optimizer))
        if step is None:
            self._measure_without_gradients(number, optimizer)
            return
        for key, begins in self._calls["measured_step_begins"]:
            step.readings.gather(key, begins, step.readings, number, optimizer)
        if self._watch is not None:
            self._entry, scale = self._watch.input.entry, loss_scale(self.loop.scaler)
            self._watch.add_to(step.readings, step.measurement, self._layers_of(optimizer), scale)
        if self._waits_for_steps:
            self._pending[number] = step
        else:
            self._finish(number, step)

    def _begun(self, number: int, optimizer: Optimizer, layers: list[Layer], scale: float) -> OptimizerStep | None:
        """The step of an optimizer, measured before clipping; None where none of its parameters has a gradient."""
        trained = self._trained.get(number)
        if trained is None or not trained.is_current(optimizer, layers):
            trained = self._trained[number] = Trained(optimizer, layers)
        if not trained.parameters:
            return None
        return OptimizerStep(
            trained,
            Measurement(self._step, layers, f".{number}" if len(self._cadences) > 1 else ""),
            Readings(self.loop.processes, trained.sharded, self.isolation),
            scale,
            self._settings,
            self.loop.clips,
        )

    def _measure_without_gradients(self, number: int, optimizer: Optimizer) -> None:
        """An optimizer none of whose parameters has a gradient changes nothing; only the losses and that are known."""
        measurement = Measurement(self._step, self.network.layers)
        readings = Readings(self.loop.processes, isolation=self.isolation)
        for key, begins in self._calls["measured_step_begins"]:
            readings.gather(key, begins, readings, number, optimizer)
        for key, add_to in self._calls["add_to"]:
            if key in WITHOUT_GRADIENTS:
                readings.gather(key, add_to, readings, measurement, number)
        readings.fetch()
        self._hand(measurement)

    def _layers_of(self, optimizer: Optimizer) -> list[Layer]:
        """The layers of which no other optimizer changes a weight."""
        others = [other for other in self.loop.optimizers if other is not optimizer]
        theirs = {parameter for other in others for parameter in parameters(other)}
        return [layer for layer in self.network.layers if theirs.isdisjoint(layer.weights)]

    def _after_step(self, optimizer: Optimizer, *_: Any) -> None:
        """The optimizer's own hook; a step that a loss scaler skips does not come here, or with unusable numbers."""
        try:
            number = self.loop.optimizers.index(optimizer)
            step = self._pending.pop(number, None)
            if step is not None and not (self._guard and self._guard.dropped and GUARD not in self.isolation.off):
                step.after(scale_in_step(self.loop.scaler, optimizer))
                self._finish(number, step)
        except Exception as error:
            self._fails(error)

    def _finish(self, number: int, step: OptimizerStep) -> None:
        measurement = step.measurement
        for key, add_to in self._calls["add_to"]:
            step.readings.gather(key, add_to, step.readings, measurement, number)
        step.readings.fetch()
        total = measurement.total("grad_norm/total")  # None where the gradients are not measured any more
        is_finite = total is None or math.isfinite(total)
        if self.loop.scaler is not None and not is_finite:
            self._skipped(measurement.diverged)
            return
        if total is not None:
            self._cadences[number].note(total)
        if measurement.diverged is None and not is_finite:
            measurement.diverged = self._step
        self._hand(measurement)

    def _hand(self, measurement: Measurement) -> None:
        if measurement.diverged is not None and self._settings.on_non_finite == "stop":
            self.loop.should_stop = True
        self._hand_on(measurement)

    def _skipped(self, diverged: int | None) -> None:
        """A loss scaler skipped the step: there is nothing to report, unless the loss itself was not finite."""
        if diverged is not None:
            self._hand(Measurement(self._step, self.network.layers, diverged=diverged))

    def batch_ends(self, outputs: Any) -> None:
        if self._is_over:
            return
        try:
            if self._pending:  # of a step that a loss scaler skipped
                self._pending = {}
                self._skipped(self.late_losses()[0])
            for key, ends in self._calls["batch_ends"]:
                try:
                    ends(outputs, self._step, self._hooks is not None)
                except Exception as error:
                    self.isolation.fails(key, error)
            if self._stepped:
                several = len(self._cadences) > 1
                self.has_players = several and not (self._backwards == 1 and len(self._stepped) == len(self._cadences))
                if self._hooks is not None:
                    self._count_missed()
                self._stepped.clear()
                self._unclipped.clear()
            self._backwards = 0
        except Exception as error:
            self._fails(error)

    def late_losses(self) -> tuple[int | None, list[float]]:
        """Fetches the losses since the last measured step, and the step of the first that was not finite."""
        if self.loop.processes.total > 1 and not self.loop.ends_together:
            return self.losses.look()  # those of this process
        return self.losses.look(Readings(self.loop.processes, isolation=self.isolation))

    def _count_missed(self) -> None:
        """Another optimizer's turn is over: one that was awaited and did not step missed it."""
        for number, cadence in enumerate(self._cadences):
            if cadence.due and number not in self._stepped:
                cadence.missed += 1
        idle = any(cadence.missed and not cadence.awaited for cadence in self._cadences)
        if idle or not any(cadence.awaited for cadence in self._cadences):
            self.unhook()

    # The end

    def state_dict(self) -> dict[str, Any]:
        return {
            "cadences": [cadence.state_dict() for cadence in self._cadences],
            "layers": [layer.name for layer in self.network.layers],
            **{key: self.isolation.call(key, collector.state_dict) for key, collector in self._collectors.items()},
        }

    def close(self) -> None:
        self._is_over = True
        for key, close in self._calls["close"]:
            self.isolation.call(key, close)
        self.unhook()
        self.isolation.close()

    def _fails(self, error: Exception) -> None:
        """An error outside of all parts: nothing is measured any more."""
        self.isolation.fails(SESSION, error)
        self.close()

    def unhook(self) -> None:
        """Removes the hooks of measured batches; the next batch that is due adds them again."""
        hooks, self._hooks = self._hooks, None
        if hooks is not None:
            hooks.close()
            for key, come_off in self._calls["hooks_come_off"]:
                self.isolation.call(key, come_off)
            self._watch = self.network.order = None
