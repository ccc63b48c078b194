"""What other tools' rules look at, measured on a run of a multilayer perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from lightning import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.vitals import is_activation
from gradvitals.vitals.hooks import on_forward, remove

Bounds = tuple[float, float]
# Inputs of an activation beyond which it counts as saturated: SageMaker Debugger's two, and DeepDiagnosis' for both.
TANH: Bounds = (-9.4999, 9.4999)
SIGMOID: Bounds = (-23.0, 16.99999)
FIVE: Bounds = (-5.0, 5.0)


@dataclass(frozen=True)
class Outputs:
    """Of a layer's activation on one batch.

    Attributes:
        not_positive: share of outputs at or below 0.
        std: of all outputs.
        active: per unit, the share of samples for which it is above 0.
        peak: per unit, the 95th percentile of its magnitude.
        outside: per bounds, the share of each unit's inputs that lie beyond them.
    """

    not_positive: float
    std: float
    active: tuple[float, ...]
    peak: tuple[float, ...]
    outside: dict[Bounds, tuple[float, ...]]


@dataclass(frozen=True)
class Layer:
    """A linear layer at one step: weights as they were before it, gradients as backward left them.

    Attributes:
        fan_in, fan_out: the shape of its weight.
        weight_variance: of its weight.
        gradient: mean magnitude of the weight's gradient.
        gradient_norm: L2 norm of it.
        gradient_p05, gradient_p95: percentiles of it.
        zeros: share of exact zeros in the gradients of weight and bias.
        non_finite: share of NaN and inf in them.
        update_ratio: mean magnitude of the step over the mean magnitude of the weight.
        activation: the class of the activation behind it in lower case; empty where none follows.
        outputs: of that activation; None where none follows.
    """

    fan_in: int
    fan_out: int
    weight_variance: float
    gradient: float
    gradient_norm: float
    gradient_p05: float
    gradient_p95: float
    zeros: float
    non_finite: float
    update_ratio: float = math.nan
    activation: str = ""
    outputs: Outputs | None = None

    @property
    def parameters(self) -> int:
        """Of weight and bias."""
        return (self.fan_in + 1) * self.fan_out


@dataclass(frozen=True)
class Moment:
    """What was seen at one step, counted from 0.

    Attributes:
        step: of the optimizer.
        ends_epoch: whether it was the last of its epoch.
        loss: of its batch.
        accuracy: on the epoch's batches so far, each before the step it led to.
        classes: that the network tells apart.
        layers: by depth; the last is the head.
    """

    step: int
    ends_epoch: bool
    loss: float
    accuracy: float
    classes: int
    layers: tuple[Layer, ...]


def outputs(received: Tensor, returned: Tensor) -> Outputs:
    """What an activation ``(batch, units)`` made of its input.

    Example:
        >>> x = torch.tensor([[-1.0, 6.0], [1.0, 2.0]])
        >>> seen = outputs(x, x.relu())
        >>> seen.not_positive, seen.active, seen.outside[FIVE]
        (0.25, (0.5, 1.0), (0.0, 0.5))
    """
    return Outputs(
        not_positive=_share(returned <= 0),
        std=returned.std(correction=0).item(),
        active=_shares(returned > 0),
        peak=tuple(returned.abs().quantile(0.95, dim=0).tolist()),
        outside={bounds: _shares((received < bounds[0]) | (received > bounds[1])) for bounds in (TANH, SIGMOID, FIVE)},
    )


def layer(linear: nn.Linear) -> Layer:
    """Weight and gradients of a linear layer.

    Example:
        >>> linear = nn.Linear(2, 1)
        >>> linear(torch.tensor([[3.0, 0.0]])).sum().backward()
        >>> seen = layer(linear)
        >>> seen.gradient, seen.gradient_norm, round(seen.zeros, 2)
        (1.5, 3.0, 0.33)
    """
    gradient = linear.weight.grad
    every = torch.cat([p.grad.flatten() for p in linear.parameters() if p.grad is not None])
    low, high = gradient.flatten().quantile(torch.tensor([0.05, 0.95], device=gradient.device)).tolist()
    return Layer(
        fan_in=linear.in_features,
        fan_out=linear.out_features,
        weight_variance=linear.weight.var(correction=0).item(),
        gradient=gradient.abs().mean().item(),
        gradient_norm=gradient.norm().item(),
        gradient_p05=low,
        gradient_p95=high,
        zeros=_share(every == 0),
        non_finite=_share(~every.isfinite()),
    )


def update_ratio(before: Tensor, after: Tensor) -> float:
    """Mean magnitude of an update over that of the weight before it.

    Example:
        >>> round(update_ratio(torch.tensor([1.0, -3.0]), torch.tensor([1.5, -3.5])), 3)
        0.25
    """
    return ((after - before).abs().mean() / before.abs().mean()).item()


def hits(logits: Tensor, targets: Tensor) -> int:
    """How many of a batch are told right; one logit tells 0 from 1.

    Example:
        >>> hits(torch.tensor([[2.0], [-1.0]]), torch.tensor([1, 1]))
        1
    """
    told = logits.argmax(1) if logits.shape[1] > 1 else logits[:, 0] > 0
    return int((told == targets).sum())


def _share(mask: Tensor) -> float:
    return mask.float().mean().item()


def _shares(mask: Tensor) -> tuple[float, ...]:
    return tuple(mask.float().mean(0).tolist())


@dataclass
class _Call:
    """A linear layer's forward pass, and that of the activation which came next."""

    linear: nn.Linear
    returned: Tensor
    activation: nn.Module | None = None
    received: Tensor = field(default_factory=lambda: torch.empty(0))

    def measured(self) -> Layer:
        seen = layer(self.linear)
        if self.activation is None:
            return seen
        name = type(self.activation).__name__.lower()
        return replace(seen, activation=name, outputs=outputs(self.received, self.returned))


class Record(Callback):
    """Keeps a history of :class:`Moment` for rules that look back over a whole training of a classifier.

    Args:
        every: measures the last of so many steps; the zoo's epoch by default.
        first: measures each of so many first steps too.

    Attributes:
        history: the moments by step.
    """

    def __init__(self, every: int = 6, first: int = 10) -> None:
        self.every, self.first = every, first
        self.history: list[Moment] = []
        self._hooks: list = []
        self._calls: list[_Call] = []
        self._pending: list[tuple[nn.Linear, Tensor, Layer]] = []
        self._right = self._seen = 0

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._hooks += on_forward((m for m in pl_module.modules() if isinstance(m, nn.Linear)), self._linear)
        self._hooks += on_forward((m for m in pl_module.modules() if is_activation(m)), self._activation)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._right = self._seen = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self._calls.clear()

    @torch.no_grad()
    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        step = trainer.global_step
        if step < self.first or (step + 1) % self.every == 0:
            self._pending = [(c.linear, c.linear.weight.clone(), c.measured()) for c in self._calls]

    @torch.no_grad()
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        logits = self._calls[-1].returned
        self._right, self._seen = self._right + hits(logits, batch[1]), self._seen + len(logits)
        if self._pending:
            self.history.append(
                Moment(
                    step=trainer.global_step - 1,
                    ends_epoch=trainer.is_last_batch,
                    loss=float(outputs["loss"]),
                    accuracy=self._right / self._seen,
                    classes=max(2, logits.shape[1]),
                    layers=_stepped(self._pending),
                )
            )
            self._pending = []

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        remove(self._hooks)
        self._calls.clear()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        remove(self._hooks)

    def _linear(self, module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Tensor) -> None:
        if torch.is_grad_enabled():  # not in validation
            self._calls.append(_Call(module, output.detach()))

    def _activation(self, module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Tensor) -> None:
        if torch.is_grad_enabled() and self._calls:
            call = self._calls[-1]
            call.activation, call.received, call.returned = module, args[0].detach(), output.detach()


def _stepped(pending: Sequence[tuple[nn.Linear, Tensor, Layer]]) -> tuple[Layer, ...]:
    return tuple(
        replace(seen, update_ratio=update_ratio(before, linear.weight.detach())) for linear, before, seen in pending
    )
