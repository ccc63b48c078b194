"""The monitor: the vital signs of every layer.

Where the numbers are taken, in one optimizer step of Lightning's automatic optimization::

    on_train_batch_start           <- is the next step measured? then hook into the network
      forward                      <- of activations: mean, deviation, saturation, dead units; size of layers' inputs
      backward                     <- dL/dh of each layer and dL/dx, as backward has them in hand
                                      (forward and backward once per micro-batch; the numbers join as gradients do)
      unscale, all-reduce
      on_before_optimizer_step     <- dL/dW BEFORE clipping, once per step; weights are copied
      clipping
      optimizer updates parameters
      step_post_hook               <- dL/dW AFTER clipping, and the step taken; not called where a scaler skips it
    on_train_batch_end             <- the loss is kept, on the device; hooks come off

Between measured steps it compares a few integers and keeps a reference to the loss: nothing is computed, and nothing
waits for the device. Under manual optimization ``on_before_optimizer_step`` runs after the user's own clipping, so what
is measured there is what the user's clipping left.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities.rank_zero import rank_zero_only
from torch import Tensor
from torch.optim import Optimizer

from gradvitals.diagnosis.diagnose import Diagnosis
from gradvitals.loggers.custom_scalars import layout
from gradvitals.loggers.tensorboard import publish, publish_histograms, publish_layout, publish_text
from gradvitals.monitor.collectors.non_finite import largest_gradient, non_finite_layer
from gradvitals.monitor.first_batch import predicted_decades
from gradvitals.monitor.fit_monitor import FitMonitor
from gradvitals.monitor.gradient_history import GradientHistory
from gradvitals.monitor.layer_blocks import by_block
from gradvitals.monitor.measurement import Measured
from gradvitals.monitor.settings import Settings
from gradvitals.monitor.verdict import OnlineDiagnosis
from gradvitals.signal_propagation.reading import Preflight
from gradvitals.vitals import Layer

log = logging.getLogger(__name__)


def monitor_of(trainer: Trainer) -> GradientVitals | None:
    """The monitor among a Trainer's callbacks; None without one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, GradientVitals)), None)


class GradientVitals(Callback):
    """Logs the gradients, activations and updates of every layer of any LightningModule.

    LAYER in a tag is ``{index}.{dotted name}``, the index in order of the first forward pass. A layer is a module with
    a weight of two or more axes; one without a gradient is left out. Norms are L2.

    - ``grad_norm/LAYER``: dL/dW before clipping; ``grad_norm/total``: of all parameters; ``grad_norm/input``: dL/dx,
      absent where no floating-point tensor goes in.
    - ``grad_norm_corrected/LAYER``: over the rms, over samples, of the norm of the layer's input.
    - ``grad_norm_clipped/LAYER``, ``/total``: after clipping, where something clips; ``clip/coefficient``: total after
      over total before; ``clip/fraction``: share of measured steps so far that clipping changed.
    - ``activation_grad_norm/LAYER``: dL/dh over batch and features, h being what the layer puts out.
    - ``activation_mean/LAYER``, ``activation_std/LAYER``: of what the activation behind the layer returns;
      ``saturated_fraction/LAYER``: share of it where the activation's slope is below 5 % of its largest (sigmoid, tanh,
      softsign, erf) or nothing (hardtanh); ``dead_fraction/LAYER``: share of units that returned 0 for each of at least
      1,000 samples.
    - ``weight_norm/LAYER``: W; ``update_ratio/LAYER``: the step taken over W.
    - ``scaler/scale``, ``scaler/skipped_steps``: of a loss scaler; ``non_finite/skipped_steps``: by ``on_non_finite``.
    - with ``clip_cosine``: ``clip/cosine``, of the angle between the gradient of all parameters before and after
      clipping; ``clip/cosine_per_tensor``, the lowest of any one tensor's.
    - text ``vitals/verdict``: what is wrong, when it is told; ``vitals/severity`` at the end: 0 healthy, else the share
      of the loss of a constant output that is left.
    - with ``noise_scale``: ``noise_scale/total``, samples in a batch above which more of them hardly help.

    With several optimizers, what is not of one layer has the optimizer's number behind it, as in ``grad_norm/total.1``.
    Under several processes the numbers are those of the whole batch. A step that a loss scaler skips is no measurement.
    What ``torch.compile`` has compiled runs as it was written in measured steps.

    Args:
        every_n_steps: measure one step of each optimizer in so many.
        activations: whether to hook into forward and backward; without it only weights and their gradients are seen.
        updates: whether to measure weights and updates; copies the weights of measured steps.
        norm_layers: whether normalisations with a gain are layers too.
        clip_cosine: whether to measure what clipping does to the direction; copies the gradient of measured steps.
        noise_scale: whether to measure the gradient noise scale; keeps the gradient of a measured step until the next.
        histograms: whether to log histograms of each layer's weight and gradient (TensorBoard and W&B).
        on_non_finite: ``warn``: tell, at the next measured step, of a loss that is not finite. ``skip``, ``stop``: look
            at the gradient of each step, skip the step or end the fit where it is not finite, and name the layer.
        first_steps: measure so many steps at the beginning.
        spike_factor: a total norm above so many times the median of those measured lately is a spike, after which
        spike_steps: so many steps are all measured.
        max_layers: a network of more layers is logged as so many blocks of neighbouring ones; None: no limit.
            ``start``, ``end`` and the files made of them are by layer.
        auto_stop: end the fit where a verdict leaves no hope.
        thresholds: of the diagnosis, by name; see :class:`gradvitals.diagnosis.thresholds.Thresholds`.
        chance: loss of the best constant output, below which a net has learnt something; None: the entropy of the
            labels seen, or where there are none the first loss.
        include, exclude: dotted names of layers or of modules that hold them; ``*`` stands for anything.

    Attributes:
        layers: the layers by depth, known after the first step.
        start, end: the first and the latest number of each tag.
        moments: the activation gradients by layer of every measured step, thinned where there are many.
        non_finite: step and place of the first number that was not finite; None: none was seen.
        diagnosis: the verdict so far.
        preflight: what the first batch showed beside what theory expects; None before it, where ``activations`` is off,
            and with several optimizers.
        stopped_it: whether ``auto_stop`` ended the fit.
        seconds_saved: of the fit that ``auto_stop`` ended; None where it did not, or its end was not known.

    Raises:
        ValueError: a setting out of range; when a fit starts, a pattern that no layer matches.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(every_n_steps=50)], logger=False, accelerator="cpu")
    """

    def __init__(
        self,
        every_n_steps: int = 50,
        *,
        activations: bool = True,
        updates: bool = True,
        norm_layers: bool = False,
        clip_cosine: bool = False,
        noise_scale: bool = False,
        histograms: bool = False,
        on_non_finite: str = "warn",
        first_steps: int = 10,
        spike_factor: float = 8.0,
        spike_steps: int = 10,
        max_layers: int | None = 128,
        auto_stop: bool = False,
        thresholds: Mapping[str, float] | None = None,
        chance: float | None = None,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
    ) -> None:
        self.auto_stop, self.thresholds, self.chance = auto_stop, thresholds, chance
        self.settings = Settings(
            every_n_steps=every_n_steps,
            activations=activations,
            updates=updates,
            norm_layers=norm_layers,
            clip_cosine=clip_cosine,
            noise_scale=noise_scale,
            histograms=histograms,
            on_non_finite=on_non_finite,
            first_steps=first_steps,
            spike_factor=spike_factor,
            spike_steps=spike_steps,
            max_layers=max_layers,
            include=include,
            exclude=exclude,
        )
        self._session: FitMonitor | None = None
        self._loggers: Sequence[Logger] = []
        self._fitting = True
        self._begin()

    def _begin(self) -> None:
        self.layers: list[Layer] = []
        self.start: dict[str, float] = {}
        self.end: dict[str, float] = {}
        self.moments = GradientHistory()
        self.stopped_it = False
        self.seconds_saved: float | None = None
        self.preflight: Preflight | None = None
        self._examining = OnlineDiagnosis(self.thresholds, self.chance)
        self.non_finite: tuple[int, str] | None = None
        self._steps = self._clipped_steps = 0
        self._latest = 0  # measured step
        self._state: dict[str, Any] = {}  # of a session that ended

    @property
    def clipped_fraction(self) -> float | None:
        """Share of measured steps that clipping changed; None where nothing clips."""
        return self._clipped_steps / self._steps if self._steps else None

    @property
    def diagnosis(self) -> Diagnosis:
        return self._examining.diagnosis

    @property
    def skipped_steps(self) -> int:
        """Steps that ``on_non_finite`` kept from the weights."""
        return self._session.skipped_steps if self._session else self._state.get("skipped_steps", 0)

    @property
    def profiles(self) -> dict[int, list[float | None]]:
        """Step -> norms of dL/dh by layer, input side first; None where a layer had no gradient."""
        labels = [layer.label for layer in self.layers]
        moments = self.moments.values if labels else {}
        return {step: [values.get(label) for label in labels] for step, values in moments.items()}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._fitting = stage == "fit"
        if self._fitting and trainer.global_step == 0:  # a checkpoint is read later
            self._begin()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loggers = trainer.loggers
        self._session = FitMonitor(self.settings, trainer, pl_module, self._take_in, self._state)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._session:
            self._session.batch_begins(batch, batch_idx)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self._session:
            self._session.before_backward(loss)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._session:
            self._session.before_step(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self._session:
            self._session.batch_ends(outputs)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._session:
            step, losses = self._session.look_at_last_losses()
            if step is not None:
                self._warn(step, None)
            self._examining.take_last(trainer.global_step, losses)
            publish(self._loggers, {"vitals/severity": self.diagnosis.severity}, trainer.global_step)
            publish_text(self._loggers, "vitals/verdict", str(self.diagnosis), trainer.global_step)
        self._end()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._end()

    def _end(self) -> None:
        """Take every hook off and let go of the network."""
        if self._session:
            self.non_finite = self.non_finite or self._session.finding
            self._session.close()
            self._state = self._session.state_dict()
        self._session, self._loggers = None, []
        self.layers = [layer.alone() for layer in self.layers]

    def _take_in(self, measured: Measured) -> None:
        """Keep, judge and publish the numbers of a step."""
        numbers, self.layers = measured.numbers, measured.layers
        if measured.changed is not None:
            self._steps += 1
            self._clipped_steps += measured.changed
            numbers["clip/fraction"] = self._clipped_steps / self._steps
        if measured.diverged is not None:
            self._warn(measured.diverged, measured)
        self._judge(measured)
        if not numbers:
            return
        begins = not self.start
        self.start, self.end = numbers | self.start, self.end | numbers
        tag, self._latest = "activation_grad_norm/", measured.step
        self.moments.add(measured.step, {t.removeprefix(tag): v for t, v in numbers.items() if t.startswith(tag)})
        most = self.settings.max_layers or len(self.layers)
        shown = by_block(numbers, self.layers, most) if len(self.layers) > most else numbers
        if begins:
            publish_layout(self._loggers, layout(shown))
        publish(self._loggers, shown, measured.step)
        publish_histograms(self._loggers, measured.histograms, measured.step)

    def _judge(self, measured: Measured) -> None:
        """Tell a new verdict, and stop what is hopeless."""
        assert self._session is not None
        session, trainer, before = self._session, self._session.trainer, self.diagnosis
        if self.preflight is None and session.first_look is not None:
            self.preflight = session.first_look.found(measured.numbers, measured.layers, self.chance)
        predicted = predicted_decades(self.preflight) if self.preflight else None
        self._examining.take(measured, session.data, trainer, predicted)
        found = self.diagnosis
        if found.verdict != before.verdict:
            publish_text(self._loggers, "vitals/verdict", str(found), measured.step)
        if self.auto_stop and not trainer.should_stop and self._examining.is_hopeless():
            trainer.should_stop = self.stopped_it = True
            self.seconds_saved = self._examining.seconds_left(trainer)

    def _warn(self, step: int, measured: Measured | None) -> None:
        """Tell once of a loss or gradient that is not finite, and where it shows."""
        self.non_finite = self.non_finite or (self._session.finding if self._session else None)
        if self.non_finite is not None:
            return  # told before
        where = non_finite_layer(measured.numbers, self.layers) if measured else None
        self.non_finite = (step, where or "the loss")
        words = [f"not finite: the loss or its gradient, from step {step} on"]
        if measured and where:
            at = "" if measured.step == step else f"at step {measured.step}, the next that was measured, "
            words.append(f"{at}it shows in {where}")
        if math.isfinite(self.end.get("grad_norm/total", math.nan)):
            words.append(f"at step {self._latest}, the last one before, {largest_gradient(self.end, self.layers)}")
        rank_zero_only(log.warning)(
            "; ".join(words) + ". monitor.on_non_finite=stop would end there and find the layer"
        )

    def state_dict(self) -> dict[str, Any]:
        return {
            "layers": [asdict(layer.alone()) for layer in self.layers],
            "start": self.start,
            "end": self.end,
            "moments": self.moments.state_dict(),
            "steps": self._steps,
            "clipped_steps": self._clipped_steps,
            "examination": self._examining.state_dict(),
            "preflight": asdict(self.preflight) if self.preflight else None,
            "non_finite": self.non_finite or (self._session.finding if self._session else None),
            "latest": self._latest,
            "session": self._session.state_dict() if self._session else self._state,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._fitting:  # testing the best checkpoint must not bring back its epoch's numbers
            self.layers = [Layer(**layer) for layer in state["layers"]]
            self.start, self.end = state["start"], state["end"]
            self._steps, self._clipped_steps = state["steps"], state["clipped_steps"]
            self._state, self._latest = state["session"], state["latest"]
            self.non_finite = tuple(state["non_finite"]) if state["non_finite"] else None
            self.moments.load_state_dict(state["moments"])
            self._examining.load_state_dict(state["examination"])
            self.preflight = Preflight.of(state["preflight"]) if state["preflight"] else None
