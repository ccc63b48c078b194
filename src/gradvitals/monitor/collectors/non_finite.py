"""Keeping the weights, and moving statistics with them, finite."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from lightning import LightningModule, Trainer
from lightning.pytorch.utilities.model_helpers import is_overridden
from lightning.pytorch.utilities.signature_utils import is_param_in_hook_signature
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.distributed.collectives import Collectives
from gradvitals.distributed.dtensor import is_sharded
from gradvitals.monitor.collectors.optimizer_step import gradients, parameters
from gradvitals.monitor.collectors.replay import replayed_step
from gradvitals.vitals import Layer, NonFinite, are_finite, first_non_finite

log = logging.getLogger(__name__)


class NonFiniteGuard:
    """Keeps the weights finite: a step whose gradient is not is skipped, or ends the fit.

    Moving statistics, which the forward pass had spoilt, are put back.

    One total norm per optimizer step; where the Trainer clips by norm, it is the one that clipping computes. The first
    time, the batch is repeated with hooks, to name where the first such number arises; not under manual optimization
    and not where a forward pass needs other processes: there the gradients tell. Under a loss scaler nothing is done:
    it skips such steps itself.

    Args:
        mode: ``skip`` or ``stop``.
        trainer, network: whose fit it is.
        skipped: steps before.

    Attributes:
        skipped: steps so far.
        dropped: whether the latest step was one of them.
        finding: step and place of the first one.
    """

    def __init__(self, mode: str, trainer: Trainer, network: LightningModule, skipped: int = 0) -> None:
        self.mode, self.skipped = mode, skipped
        self.dropped = False
        self.finding: tuple[int, str] | None = None
        self._ends = mode == "stop"
        self._trainer, self._network = trainer, network
        self._processes = Collectives.of(trainer)
        self._batches: list[tuple[Any, int, Tensor]] = []
        self._statistics = [buffer for buffer in network.buffers() if buffer.is_floating_point() and buffer.ndim]
        self._kept = [buffer.clone() for buffer in self._statistics]  # before the step; a forward spoils them at once
        by_norm = trainer.gradient_clip_val is not None and trainer.gradient_clip_algorithm in (None, "norm")
        self._norm_comes = by_norm and not clips_itself(network)
        if self._norm_comes:
            trainer.precision_plugin.clip_grad_by_norm = self._clip  # type: ignore[method-assign]

    def batch_begins(self, batch: Any, batch_idx: int) -> None:
        """Remember what would have to be repeated or put back."""
        if self._kept and not self._batches:
            torch._foreach_copy_(self._kept, self._statistics)
        if self._network.automatic_optimization:
            self._batches.append((batch, batch_idx, torch.random.get_rng_state()))

    def batches_are_through(self) -> None:
        """Forget it."""
        self._batches = []

    def before_clipping(self, optimizer: Optimizer) -> None:
        """Look at the gradient, unless clipping will."""
        self.dropped = False
        if not self._norm_comes and not are_finite(gradients(parameters(optimizer))):
            self._drop(optimizer)

    def _clip(self, optimizer: Optimizer, clip_val: int | float) -> None:
        """In place of the precision plugin's own, which does the same and lets go of the norm."""
        of_optimizer = self._trainer.precision_plugin.main_params(optimizer)
        norm: Any = torch.nn.utils.clip_grad_norm_(list(of_optimizer), clip_val)
        if not math.isfinite((norm.full_tensor() if is_sharded(norm) else norm).item()):
            self._drop(optimizer)

    def _drop(self, optimizer: Optimizer) -> None:
        self.skipped, self.dropped = self.skipped + 1, True
        if self._kept:
            torch._foreach_copy_(self._statistics, self._kept)
        if self.finding is None:
            found, came = self._first_found(self._processes.gather(self._find(optimizer)))
            self.finding = (self._trainer.fit_loop.epoch_loop._batches_that_stepped, came)
            self._ends = self.mode == "stop" or (found is not None and found.where == "parameter")
            if self._trainer.is_global_zero:
                log.warning(self._sentence(*self.finding))
        for parameter in parameters(optimizer):
            parameter.grad = None  # optimizers pass over parameters without a gradient
        if self._ends:
            self._trainer.should_stop = True

    def _first_found(self, found: list[NonFinite | None]) -> tuple[NonFinite | None, str]:
        """Of what each process found in its part, what came first, in words too: a gradient is the last to show it."""
        ranks = [rank for rank, one in enumerate(found) if one is not None]
        if not ranks:
            return None, "nothing when the batch is repeated"
        rank = min(ranks, key=lambda rank: found[rank].where == "gradient")  # type: ignore[union-attr]
        own = len(found) > 1 and found[rank].where != "gradient"  # type: ignore[union-attr]
        return found[rank], f"{found[rank]}{f' (in process {rank})' if own else ''}"

    def _sentence(self, step: int, came: str) -> str:
        then = "the fit ends" if self._ends else "the step is skipped, as further ones will be"
        if self._ends and self.mode == "skip":
            then += ": no step that is skipped mends a parameter"
        return f"the gradient is not finite at step {step}: first {came}. By monitor.on_non_finite={self.mode} {then}"

    def close(self) -> None:
        """Leave nothing behind."""
        if self._norm_comes and "clip_grad_by_norm" in vars(self._trainer.precision_plugin):
            del self._trainer.precision_plugin.clip_grad_by_norm
        self._batches = []

    def _find(self, optimizer: Optimizer) -> NonFinite | None:
        if not _needs_others(self._network):
            for batch, batch_idx, rng in self._batches:
                with replayed_step(self._trainer, self._network, rng):
                    loss = partial(_loss_of, self._network, batch, batch_idx)
                    if found := first_non_finite(self._network, batch, loss):
                        return found
        return _in_gradients(self._network, optimizer)


def _needs_others(network: nn.Module) -> bool:
    """Whether a forward pass waits for other processes, which may not repeat the batch as this one does."""
    synced = any("SyncBatchNorm" in type(module).__name__ for module in network.modules())
    return synced or any(map(is_sharded, network.parameters()))


def clips_itself(network: LightningModule) -> bool:
    """Whether the module clips beside or instead of the Trainer; one that knows says so by ``clips``."""
    return bool(getattr(network, "clips", is_overridden("configure_gradient_clipping", network)))


def _loss_of(module: LightningModule, batch: Any, batch_idx: int) -> Tensor | None:
    both = is_param_in_hook_signature(module.training_step, "batch_idx", min_args=2)
    output = module.training_step(batch, batch_idx) if both else module.training_step(batch)
    return output["loss"] if isinstance(output, Mapping) else output


def _in_gradients(module: nn.Module, optimizer: Optimizer) -> NonFinite | None:
    ours = set(parameters(optimizer))
    named = [(name, p.grad) for name, p in module.named_parameters() if p in ours and p.grad is not None]
    bad = [name for name, gradient in named if not are_finite([gradient])]
    return NonFinite("gradient", bad[-1]) if bad else None  # the last one is where backward began


def non_finite_layer(measured: Mapping[str, float], layers: Sequence[Layer]) -> str | None:
    """Which layer a measured step names: in order of the forward pass, then of the backward pass; None: none.

    Args:
        measured: numbers by tag.
        layers: by depth.

    Example:
        >>> layer = Layer("net", 0, "00.net", "Linear", 4)
        >>> non_finite_layer({"weight_norm/00.net": 1.0, "activation_grad_norm/00.net": float("inf")}, [layer])
        'the gradient of the loss with respect to the output of net (Linear)'
    """
    ways = {
        "weight_norm": ("parameter", layers),
        "activation_mean": ("forward", layers),
        "activation_grad_norm": ("backward", layers[::-1]),
        "grad_norm": ("gradient", layers[::-1]),
    }
    for tag, (where, order) in ways.items():
        for layer in order:
            if not math.isfinite(measured.get(f"{tag}/{layer.label}", 0.0)):
                return str(NonFinite(where, layer.name, layer.kind))
    return None


def largest_gradient(measured: Mapping[str, float], layers: Sequence[Layer]) -> str | None:
    """Which layer's weight gradient is the largest, and how large.

    Example:
        >>> largest_gradient({"grad_norm/00.net": 3.0}, [Layer("net", 0, "00.net", "Linear", 4)])
        'net (Linear) has the largest gradient, 3'
    """
    norms = {layer: measured[tag] for layer in layers if (tag := f"grad_norm/{layer.label}") in measured}
    if not norms:
        return None
    layer = max(norms, key=lambda layer: norms[layer])
    return f"{layer.name} ({layer.kind}) has the largest gradient, {norms[layer]:.3g}"
