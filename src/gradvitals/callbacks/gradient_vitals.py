"""The monitor: what the gradients of every layer look like.

Where the numbers are taken, in one optimizer step of Lightning's automatic optimization::

    on_train_batch_start           <- is this step measured? then watch the input
      forward, backward               (once per micro-batch)
      unscale, all-reduce
      on_before_optimizer_step     <- MEASURED HERE: before clipping, once per step
      clipping
      optimizer updates parameters
    on_train_batch_end

Between measured steps it does nothing but compare two integers. Under manual optimization the same hook runs after the
user's own clipping, so what is measured then is what the user's clipping left.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.callbacks.publish import publish
from gradvitals.vitals import ForwardOrder, InputGradient, Layer, find_layers, norms, total


class GradientVitals(Callback):
    """Logs the gradient norm of every layer, of all parameters together and of the network's input.

    Tags: ``grad_norm/LAYER`` (L2 of dL/dW before clipping; LAYER sorts by depth), ``grad_norm/total`` (all parameters
    of the optimizer), ``grad_norm/input`` (L2 over batch and features of dL/dx, of this process's share of the batch;
    absent where no floating-point tensor goes in). Layers are the modules with a weight of two or more axes. A layer
    without a gradient is left out.

    Args:
        every_n_steps: measure one optimizer step in so many; the first step of a fit is always measured.

    Attributes:
        layers: the layers by depth, known after the first step.
        start, end: the numbers of the first and of the latest measured step, by tag.

    Raises:
        ValueError: ``every_n_steps`` below 1.

    Example:
        >>> trainer = Trainer(callbacks=[GradientVitals(every_n_steps=50)], logger=False, accelerator="cpu")
    """

    def __init__(self, every_n_steps: int = 50) -> None:
        if every_n_steps < 1:
            raise ValueError(f"monitor.every_n_steps: expected a whole number of at least 1; got {every_n_steps}")
        self.every_n_steps = every_n_steps
        self.layers: list[Layer] = []
        self.start: dict[str, float] = {}
        self.end: dict[str, float] = {}
        self._order: ForwardOrder | None = None
        self._input: InputGradient | None = None
        self._entry: nn.Module | None = None
        self._fitting = True

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        self._fitting = stage == "fit"

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._entry = None
        self._order = ForwardOrder(pl_module)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if self._input is None and self._due(trainer):
            self._input = InputGradient(*([self._entry] if self._entry else pl_module.modules()))

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._due(trainer):
            self._measure(trainer, pl_module, optimizer)

    def _due(self, trainer: Trainer) -> bool:
        """Whether this step is measured: the first of a fit, and each multiple of the cadence."""
        if self._order is not None:
            return True
        # Lightning counts a step of each of several optimizers.
        return trainer.global_step // max(1, len(trainer.optimizers)) % self.every_n_steps == 0

    def _measure(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        if self._order is not None:
            self._order.close()
            self.layers, self._order = find_layers(pl_module, self._order.modules), None
        parameters = [p for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        inputs = self._take_input()
        values = norms([_dense(p.grad) for p in parameters] + inputs)
        if not len(values):
            return
        ours, theirs = values.split([len(parameters), len(inputs)])
        scale = _loss_scale(trainer)
        ours = ours / (scale if getattr(optimizer, "_step_supports_amp_scaling", False) else 1.0)
        # The one copy to the host.
        *by_parameter, everything, at_input = torch.cat([ours, total(ours)[None], total(theirs / scale)[None]]).tolist()
        norm_of = dict(zip(parameters, by_parameter, strict=True))
        measured = {
            f"grad_norm/{layer.label}": norm_of[layer.weight] for layer in self.layers if layer.weight in norm_of
        }
        measured["grad_norm/total"] = everything
        if inputs:
            measured["grad_norm/input"] = at_input
        self.start = self.start or measured
        self.end = measured
        publish(trainer.loggers, measured, trainer.global_step)

    def _take_input(self) -> list[Tensor]:
        if self._input is None:
            return []
        gradients, self._entry = self._input.gradients(), self._input.entry
        self._input.close()
        self._input = None
        return gradients

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._release()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        self._release()

    def _release(self) -> None:
        """Take every hook off."""
        for watcher in (self._order, self._input):
            if watcher is not None:
                watcher.close()
        self._order = self._input = None

    def state_dict(self) -> dict[str, Any]:
        return {"start": self.start, "end": self.end}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self._fitting:  # testing the best checkpoint must not bring back its epoch's numbers
            self.start, self.end = state["start"], state["end"]


def _dense(gradient: Tensor) -> Tensor:
    """A sparse gradient (embeddings) has the norm of its values."""
    return gradient.coalesce().values() if gradient.is_sparse else gradient


def _loss_scale(trainer: Trainer) -> float:
    """What the loss was multiplied by before backward: 1 except under 16-mixed."""
    scaler = getattr(trainer.precision_plugin, "scaler", None)
    return scaler.get_scale() if scaler is not None else 1.0
