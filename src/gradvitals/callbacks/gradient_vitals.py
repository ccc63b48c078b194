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
from typing import Any, ClassVar

from lightning import Callback, LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from gradvitals.displayed_monitor import DisplayedMonitor
from gradvitals.loggers.open_loggers import open_loggers
from gradvitals.loggers.tags import untagged
from gradvitals.loops.lightning_loop import LightningLoop
from gradvitals.monitor.isolation import report
from gradvitals.monitor.logged_metrics import mode_for, witnesses
from gradvitals.monitor.measurement import Measurement
from gradvitals.monitor.session import METRICS, SESSION
from gradvitals.monitor.settings import Settings, takes_settings

log = logging.getLogger(__name__)


def monitor_of(trainer: Trainer) -> GradientVitals | None:
    """The monitor among a Trainer's callbacks; None without one."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return next((callback for callback in callbacks if isinstance(callback, GradientVitals)), None)


class GradientVitals(DisplayedMonitor, Callback):
    """Logs the gradients, activations and updates of every layer of any LightningModule.

    LAYER in a tag is ``{index}.{dotted name}``, the index in order of the first forward pass. A layer is a module with
    a weight of two or more axes; one without a gradient is left out. Norms are L2.

    - ``grad_norm/LAYER``: dL/dW before clipping; ``grad_norm/total``: of all parameters; ``grad_norm/input``: dL/dx,
      absent where no floating-point tensor goes in.
    - ``grad_norm_corrected/LAYER``: over the rms, over samples, of the norm of the layer's input.
    - ``grad_norm_clipped/LAYER``, ``/total``: after clipping, where something clips; ``clip/coefficient``: total after
      over total before; ``clip/fraction``: share of measured steps so far that clipping changed.
    - ``activation_grad_norm/LAYER``: dL/dh over batch and features, h being the layer's output.
    - ``time_grad_norm/LAYER/first``, ``/middle``, ``/last``: dL/dx of a recurrent layer or cell at these time steps, x
      being its input; :attr:`through_time` has them all.
    - ``activation_mean/LAYER``, ``activation_std/LAYER``: of the output of the activation that follows the layer;
      ``saturated_fraction/LAYER``: share of it where the activation's slope is below 5 % of its largest (sigmoid, tanh,
      softsign, erf) or nothing (hardtanh); ``dead_fraction/LAYER``: share of units that returned 0 for each of at least
      1,000 samples.
    - ``weight_norm/LAYER``: W; ``update_ratio/LAYER``: the step taken over W.
    - ``scaler/scale``, ``scaler/skipped_steps``: of a loss scaler; ``non_finite/skipped_steps``: by ``on_non_finite``.
    - with ``clip_cosine``: ``clip/cosine``, of the angle between the gradient of all parameters before and after
      clipping; ``clip/cosine_per_tensor``, the lowest of any one tensor's.
    - text ``vitals/verdict``: what is wrong, as soon as it is known; ``vitals/severity`` at the end: 0 healthy, else
      the share of the loss of a constant output that is left, and no number where the verdict is undecided.
    - with ``noise_scale``: ``noise_scale/total``, samples in a batch above which more of them hardly help.

    With several optimizers, tags that are not of one layer end with the optimizer's number: ``grad_norm/total.1``.
    Under several processes the numbers are those of the whole batch. A step that a loss scaler skips is no measurement.
    What ``torch.compile`` has compiled runs eagerly in measured steps.

    Args:
        every_n_steps: measure one step of each optimizer in so many.
        **settings: the other fields of :class:`gradvitals.monitor.settings.Settings`, by name.

    Attributes:
        start, end, announces: see :class:`gradvitals.displayed_monitor.DisplayedMonitor`, which also has :meth:`plot`
            and :meth:`to_frame`, and is what a notebook shows.
        layers, history, non_finite, diagnosis, preflight, stopped_it, seconds_saved: see
            :class:`gradvitals.monitor.monitor.Monitor`.

    Raises:
        TypeError: a name that is no setting.
        ValueError: a setting out of range, or a metric whose name does not say which values are better, without
            ``mode``; when a fit starts, a pattern that no layer matches.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(every_n_steps=50)], logger=False, accelerator="cpu")
    """

    information: ClassVar[logging.Logger] = logging.getLogger("lightning.pytorch.utilities.rank_zero")  # has a handler

    @takes_settings
    def __init__(self, every_n_steps: int = 50, **settings: Any) -> None:
        super().__init__(Settings.of({"every_n_steps": every_n_steps, **settings}))
        if self.settings.metric is not None:
            mode_for(self.settings.metric, self.settings.mode)
        self._seen_metrics: dict[str, Tensor] = {}  # the latest value of each
        self._fitting = True
        self._was_measured = False  # in this batch

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._fitting = stage == "fit"
        if self._fitting and trainer.global_step == 0:  # a checkpoint is read later
            self.reset()

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._loggers = open_loggers(logger=trainer.loggers) if trainer.is_global_zero else []
        try:
            loop = LightningLoop(trainer, pl_module)
        except Exception as error:
            log.warning(report(SESSION, error))
        else:
            self.begin(loop, pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self.session:
            self.session.batch_begins(batch, batch_idx)

    def on_before_backward(self, trainer: Trainer, pl_module: LightningModule, loss: Tensor) -> None:
        if self.session:
            self.session.before_backward(loss)

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self.session:
            self.session.before_step(optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if self.session:
            self.session.batch_ends(outputs)
            if self._was_measured and self.settings.metric is not None:  # the device was waited for anyway
                self._take_metrics(trainer)
            self._was_measured = False

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking:
            self._take_metrics(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_metrics(trainer)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_metrics(trainer, 1)  # what the module's own on_train_epoch_end has logged

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._take_metrics(trainer, 1)
        asked = self.settings.metric
        if asked is not None and asked not in trainer.callback_metrics and trainer.is_global_zero:
            known = ", ".join(sorted(trainer.callback_metrics)) or "none"
            log.warning(f"monitor.metric: expected the name of a logged metric; got {asked!r}. Logged: {known}")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.finish()
        self.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self.close()

    def close(self) -> None:
        """Removes the hooks; what was measured stays."""
        super().close()
        self._seen_metrics = {}

    def _take_metrics(self, trainer: Trainer, ahead: int = 0) -> None:
        """Takes in what was logged; ``ahead``: how far the loop's step is ahead of the latest one that was taken."""
        if self.session:
            self.session.isolation.call(METRICS, self._take_new_values, trainer, self.session.loop.step - ahead)

    def _take_new_values(self, trainer: Trainer, step: int) -> None:
        """Takes in the values that are new: Lightning keeps the same tensor until a metric is logged again."""
        logged = trainer.callback_metrics
        for metric in witnesses(logged, self.settings.metric, self.settings.mode):
            value = logged[metric.name]
            if value is not self._seen_metrics.get(metric.name):
                self._seen_metrics[metric.name] = value
                if value.numel() == 1:
                    self.take_metric(metric, step, float(value))

    def publish(self, measurement: Measurement, is_first: bool) -> None:
        """Sends a measurement to the loggers of the Trainer, with a layout of the cards where it ``is_first``."""
        self._was_measured = True
        super().publish(measurement, is_first)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resumes from a ``state`` that :meth:`state_dict` returned."""
        if self._fitting:  # testing the best checkpoint must not bring back its epoch's numbers
            try:
                super().load_state_dict(state | {key: _as_numbers(state, key) for key in ("start", "end")})
            except Exception as error:
                log.warning(report("the numbers of the checkpoint", error))
                self.reset()


def _as_numbers(state: dict[str, Any], key: str) -> dict[str, Any]:
    """The numbers of a checkpoint, which once were by tag."""
    if "by_layer" in state[key]:
        result: dict[str, Any] = state[key]
        return result
    by_layer, totals = untagged(state[key], [layer["label"] for layer in state["layers"]])
    return {"by_layer": by_layer, "totals": totals}
