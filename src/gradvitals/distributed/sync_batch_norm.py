"""BatchNorm over the samples of all processes, on any device. torch's own SyncBatchNorm needs GPUs."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from lightning.pytorch.plugins import LayerSync
from torch import Tensor, nn
from torch.autograd.function import Function, FunctionCtx
from torch.nn.modules.batchnorm import _BatchNorm


def synchronize(net: nn.Module, device: torch.device | None = None) -> None:
    """Makes every BatchNorm of a network compute its statistics over all processes, in place.

    The modules stay the same objects with the same parameters, buffers and hooks, and checkpoints do not change. On a
    GPU, torch's own SyncBatchNorm is used, on any other device :class:`SyncBatchNorm`.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        >>> synchronize(net)
        >>> type(net[1]).__name__, list(net.state_dict())[2:4]
        ('SyncBatchNorm', ['1.weight', '1.bias'])
    """
    kind = nn.SyncBatchNorm if device is not None and device.type == "cuda" else SyncBatchNorm
    for module in net.modules():
        if isinstance(module, _BatchNorm) and not isinstance(module, (nn.SyncBatchNorm, SyncBatchNorm)):
            module.__dict__ |= {"alone": type(module), "process_group": None}  # None: all processes
            module.__class__ = kind


def desynchronize(net: nn.Module) -> None:
    """Undoes :func:`synchronize`."""
    for module in net.modules():
        if isinstance(module, _BatchNorm) and "alone" in module.__dict__:
            module.__class__ = module.__dict__.pop("alone")


class SyncBatchNorm(_BatchNorm):
    """Normalizes ``(batch, features, ...)`` by the mean and variance over all processes, as for one large batch.

    The processes' batches may differ in size. Evaluation and training in one process are plain BatchNorm.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not (self.training and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        self._check_input_dim(input)
        x = input.to(torch.promote_types(input.dtype, torch.float32))  # sums need more than half precision
        mean, variance, count = statistics(x)
        self._update_running_statistics(mean.detach(), variance.detach(), count)
        shape = (1, -1) + (1,) * (x.ndim - 2)
        y = (x - mean.view(shape)) * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            y = y * self.weight.view(shape) + self.bias.view(shape)
        return y.to(input.dtype)

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim < 2:
            raise ValueError(f"BatchNorm: expected (batch, features, ...); got {tuple(input.shape)}")

    @torch.no_grad()
    def _update_running_statistics(self, mean: Tensor, variance: Tensor, count: float) -> None:
        if not self.track_running_stats or self.running_mean is None or self.running_var is None:
            return
        self.num_batches_tracked.add_(1)  # type: ignore[union-attr]
        newest = 1 / self.num_batches_tracked.item() if self.momentum is None else self.momentum  # type: ignore[union-attr]
        unbiased = variance * (count / (count - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), newest)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), newest)


def statistics(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Returns mean and biased variance of each feature over all processes, and the number of values per feature.

    Args:
        x: this process's samples, ``(batch, features, ...)``; the batch may be empty.

    Raises:
        ValueError: there are fewer than two values per feature.
    """
    axes = [axis for axis in range(x.ndim) if axis != 1]
    own = x.new_tensor([x.numel() / x.shape[1]])
    sums = _Sum.apply(torch.cat([x.sum(axes), own]))
    count = sums[-1].item()
    if count < 2:
        raise ValueError(f"BatchNorm: expected 2 values per feature over all processes; got {count:g}")
    mean = sums[:-1] / count
    centered = x - mean.view((1, -1) + (1,) * (x.ndim - 2))
    return mean, _Sum.apply(centered.square().sum(axes)) / count, count


class _Sum(Function):
    """A sum over processes. The loss of each process depends on it, so the gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: FunctionCtx, part: Tensor) -> Tensor:
        total = part.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: FunctionCtx, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


class SyncAnywhere(LayerSync):
    """Lightning's plugin for ``sync_batchnorm``, on any device; Lightning's own refuses CPUs."""

    def apply(self, model: nn.Module) -> nn.Module:
        trainer: Any = model.trainer
        synchronize(model, trainer.strategy.root_device)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        desynchronize(model)
        return model
