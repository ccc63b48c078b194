"""The monitor: what the gradients of every layer look like.

Where the numbers are taken, in one optimizer step of Lightning's automatic optimization::

    on_train_batch_start           <- is this step measured? then watch the input and the layers
      forward, backward               (once per micro-batch)
      unscale, all-reduce
      on_before_optimizer_step     <- BEFORE clipping, once per step
      clipping
      optimizer updates parameters
      step_post_hook               <- AFTER clipping; not called where a scaler skips the step
    on_train_batch_end

Between measured steps it does nothing but compare two integers. Under manual optimization ``on_before_optimizer_step``
runs after the user's own clipping, so what is measured then is what the user's clipping left.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from gradvitals.callbacks.moments import Moments
from gradvitals.callbacks.publish import publish
from gradvitals.vitals import (
    ActivationGradients,
    ForwardOrder,
    InputGradient,
    Layer,
    cosine,
    find_layers,
    is_layer,
    norms,
    total,
)


@dataclass
class _Taken:
    """What was taken of one step, still on the device."""

    step: int  # as Lightning counts: one more for each of several optimizers
    turn: int  # of all optimizers together
    parameters: list[nn.Parameter]
    norms: Tensor
    scale: float  # what the parameters' gradients are multiplied by
    values: dict[str, Tensor]
    copies: list[Tensor]


class GradientVitals(Callback):
    """Logs the gradients of every layer, of all parameters together and of the network's input.

    Tags (LAYER sorts by depth; layers are the modules with a weight of two or more axes, and one without a gradient is
    left out):

    - ``grad_norm/LAYER``: L2 of dL/dW before clipping; ``grad_norm/total``: of all parameters of the optimizer whose
      step it is; ``grad_norm/input``: L2 over batch and features of dL/dx, absent where no floating-point tensor goes
      in.
    - ``activation_grad_norm/LAYER``: L2 over batch and features of dL/dh, h being what the layer puts out.
    - where gradients are clipped: ``grad_norm_clipped/LAYER``, ``grad_norm_clipped/total``; ``clip/coefficient``, the
      total after over the total before; ``clip/fraction``, the share of measured steps so far that clipping changed.
    - with ``clip_cosine``: ``clip/cosine``, of the angle between the gradient of all parameters before and after
      clipping; ``clip/cosine_per_tensor``, the lowest of any one tensor's.

    Under several processes, gradients of the input and of activations are those of this process's own mean loss. A step
    that a loss scaler skips, because the scaled gradient overflowed, is no measurement.

    Args:
        every_n_steps: measure one optimizer step in so many; the first step of a fit is always measured.
        clip_cosine: whether to measure what clipping does to the direction; copies the gradient of measured steps.

    Attributes:
        layers: the layers by depth, known after the first step.
        start, end: the first and the latest number of each tag.
        moments: the activation gradients by layer of every measured step, thinned where there are many.

    Raises:
        ValueError: ``every_n_steps`` below 1.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(every_n_steps=50)], logger=False, accelerator="cpu")
    """

    def __init__(self, every_n_steps: int = 50, clip_cosine: bool = False) -> None:
        if every_n_steps < 1:
            raise ValueError(f"monitor.every_n_steps: expected a whole number of at least 1; got {every_n_steps}")
        self.every_n_steps, self.clip_cosine = every_n_steps, clip_cosine
        self._order: ForwardOrder | None = None
        self._input: InputGradient | None = None
        self._activations: ActivationGradients | None = None
        self._steps_taken: list[RemovableHandle] = []
        self._entry: nn.Module | None = None
        self._pending: _Taken | None = None
        self._measured = False  # a step of this batch
        self._fitting = True
        self._begin()

    def _begin(self) -> None:
        self.layers: list[Layer] = []
        self.start: dict[str, float] = {}
        self.end: dict[str, float] = {}
        self.moments = Moments()
        self._steps = self._clipped_steps = 0

    @property
    def clipped_fraction(self) -> float | None:
        """Share of measured steps that clipping changed; None where nothing clips."""
        return self._clipped_steps / self._steps if self._steps else None

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
        self._entry = None
        self._order = ForwardOrder(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._activations is None and self._due(trainer):
            self._input = InputGradient(*([self._entry] if self._entry else pl_module.modules()))
            self._activations = ActivationGradients(m for m in pl_module.modules() if is_layer(m))
            after = partial(self._after_step, trainer)
            self._steps_taken = [optimizer.register_step_post_hook(after) for optimizer in trainer.optimizers]

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._due(trainer):
            self._before_clipping(trainer, pl_module, optimizer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._pending = None  # of a step that was skipped
        if self._measured:  # each of several optimizers had its turn
            self._release()

    def _due(self, trainer: Trainer) -> bool:
        """Whether this step is measured: the first of a fit, and each multiple of the cadence."""
        return self._order is not None or _turn(trainer) % self.every_n_steps == 0

    def _before_clipping(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        self._measured = True
        if self._order is not None:
            self.layers = find_layers(pl_module, self._order.modules)
        inputs, activations = self._take_watched()
        parameters = [p for p in _parameters(optimizer) if p.grad is not None]
        if not parameters:
            return
        loss_scale = _loss_scale(trainer)
        scale = loss_scale if getattr(optimizer, "_step_supports_amp_scaling", False) else 1.0
        ours = norms(_gradients(parameters)) / scale
        values = self._by_layer("grad_norm", parameters, ours)
        if inputs:
            values["grad_norm/input"] = total(norms(inputs)) / loss_scale
        theirs = {p for other in trainer.optimizers if other is not optimizer for p in _parameters(other)}
        for layer in self.layers:
            if layer.module in activations and layer.weight not in theirs:
                values[f"activation_grad_norm/{layer.label}"] = activations[layer.module] / loss_scale
        clips = _clips(trainer, pl_module)
        copies = [gradient.clone() for gradient in _gradients(parameters)] if clips and self.clip_cosine else []
        taken = _Taken(trainer.global_step, _turn(trainer), parameters, ours, scale, values, copies)
        if clips:
            self._pending = taken
        else:
            self._publish(trainer, taken)

    def _after_step(self, trainer: Trainer, *_: Any) -> None:
        """The optimizer's own hook; a step that a loss scaler skips does not come here, or with unusable numbers."""
        if self._pending is None:
            return
        taken, self._pending = self._pending, None
        gradients = _gradients(taken.parameters)
        after = norms(gradients) / taken.scale
        taken.values |= self._by_layer("grad_norm_clipped", taken.parameters, after)
        taken.values["clip/coefficient"] = total(after) / total(taken.norms)
        if taken.copies:
            pairs = zip(taken.copies, gradients, strict=True)
            taken.values["clip/cosine"] = cosine(taken.copies, gradients)
            taken.values["clip/cosine_per_tensor"] = torch.stack([cosine([a], [b]) for a, b in pairs]).min()
        self._publish(trainer, taken, changed=((after != taken.norms) & taken.norms.isfinite()).any())

    def _by_layer(self, tag: str, parameters: list[nn.Parameter], norms: Tensor) -> dict[str, Tensor]:
        norm_of = dict(zip(parameters, norms.unbind(), strict=True))
        found = {f"{tag}/{layer.label}": norm_of[layer.weight] for layer in self.layers if layer.weight in norm_of}
        return found | {f"{tag}/total": total(norms)}

    def _publish(self, trainer: Trainer, taken: _Taken, changed: Tensor | None = None) -> None:
        flag = [] if changed is None else [changed]
        # The one copy to the host.
        numbers = torch.stack([value.to(taken.norms.dtype) for value in (*taken.values.values(), *flag)]).tolist()
        measured = dict(zip(taken.values, numbers, strict=False))
        if _scaler(trainer) is not None and not math.isfinite(measured["grad_norm/total"]):
            return  # skipped
        if changed is not None:
            self._steps += 1
            self._clipped_steps += int(numbers[-1])
            measured["clip/fraction"] = self._clipped_steps / self._steps
        self._record(taken.turn, measured)
        publish(trainer.loggers, measured, taken.step)

    def _record(self, turn: int, measured: dict[str, float]) -> None:
        self.start, self.end = measured | self.start, self.end | measured
        tag = "activation_grad_norm/"
        self.moments.add(turn, {t.removeprefix(tag): v for t, v in measured.items() if t.startswith(tag)})

    def _take_watched(self) -> tuple[list[Tensor], dict[nn.Module, Tensor]]:
        if self._input is None or self._activations is None:
            return [], {}
        self._entry = self._input.entry
        return self._input.take(), self._activations.take()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._release()

    def _release(self) -> None:
        """Take every hook off."""
        for watcher in (self._order, self._input, self._activations):
            if watcher is not None:
                watcher.close()
        for handle in self._steps_taken:
            handle.remove()
        self._order = self._input = self._activations = self._pending = None
        self._steps_taken, self._measured = [], False

    def state_dict(self) -> dict[str, Any]:
        counted = {"steps": self._steps, "clipped_steps": self._clipped_steps}
        return {"start": self.start, "end": self.end, "moments": self.moments.state_dict(), **counted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._fitting:  # testing the best checkpoint must not bring back its epoch's numbers
            self.start, self.end = state["start"], state["end"]
            self._steps, self._clipped_steps = state["steps"], state["clipped_steps"]
            self.moments.load_state_dict(state["moments"])


def _turn(trainer: Trainer) -> int:
    """Steps so far; Lightning counts a step of each of several optimizers."""
    return trainer.global_step // max(1, len(trainer.optimizers))


def _parameters(optimizer: Optimizer) -> list[nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _gradients(parameters: list[nn.Parameter]) -> list[Tensor]:
    """Each parameter's gradient; a sparse one (embeddings) has the norm of its values."""
    gradients = [p.grad for p in parameters]
    return [g.coalesce().values() if g.is_sparse else g for g in gradients if g is not None]


def _scaler(trainer: Trainer) -> Any:
    return getattr(trainer.precision_plugin, "scaler", None)


def _loss_scale(trainer: Trainer) -> float:
    """What the loss was multiplied by before backward: 1 except under 16-mixed."""
    scaler = _scaler(trainer)
    return scaler.get_scale() if scaler is not None else 1.0


def _clips(trainer: Trainer, pl_module: LightningModule) -> bool:
    """Whether something may clip: the Trainer, or the module itself; one that knows says so by ``clips``."""
    own = getattr(pl_module, "clips", is_overridden("configure_gradient_clipping", pl_module))
    return trainer.gradient_clip_val is not None or own
