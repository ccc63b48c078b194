"""A step of torch's fused Adam by its kernels alone, without the questions that ``step`` asks each time.

For a small network these questions (hooks, profilers, devices, CUDA graphs) take longer than the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer, optimizer

Closure = Callable[[], Any]


def fused_step(optimizer: Optimizer) -> Callable[[Closure], Any]:
    """Returns ``optimizer.step``, or for a fused Adam or AdamW on one device what does the same in less time.

    Example:
        >>> weight = torch.nn.Parameter(torch.ones(1))
        >>> def closure():
        ...     weight.grad = torch.ones(1)
        >>> step = fused_step(Adam([weight], lr=0.1, fused=True))
        >>> for _ in range(3):
        ...     step(closure)
        >>> round(weight.item(), 4)
        0.7
    """
    kinds = {(p.device, p.dtype) for group in optimizer.param_groups for p in group["params"]}
    is_alike = len(kinds) == 1 and all(dtype.is_floating_point for _, dtype in kinds)
    is_fused = type(optimizer) in (Adam, AdamW) and all(group["fused"] for group in optimizer.param_groups)
    return partial(_step, optimizer) if is_fused and is_alike and _is_torchs(type(optimizer).step) else optimizer.step


def _is_torchs(step: Callable[..., Any]) -> bool:
    """Whether a method is torch's own in its wraps, and nobody has replaced it in the class."""
    package = getattr(step, "__globals__", {}).get("__name__", "").partition(".")[0]
    inner = getattr(step, "__wrapped__", None)
    return package in ("torch", "gradvitals") and (inner is None or _is_torchs(inner))


def _step(optimizer: Optimizer, closure: Closure) -> None:
    """Updates; by ``step`` where that does more: with hooks, a first step, a parameter without a gradient."""
    if _does_more(optimizer):
        optimizer.step(closure=closure)
        return
    closure()
    tensors = [_tensors(optimizer, group) for group in optimizer.param_groups]
    if _does_more(optimizer) or not all(tensors):
        optimizer.step()
        return
    with torch.no_grad():
        for group, (*changed, steps) in zip(optimizer.param_groups, tensors, strict=True):
            kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
            settings = {name: group[name] for name in ("amsgrad", "lr", "weight_decay", "eps", "maximize")}
            torch._foreach_add_(steps, 1)
            kernel(*changed, [], steps, beta1=group["betas"][0], beta2=group["betas"][1], **settings)


def _does_more(of: Optimizer) -> bool:
    """Whether ``step`` has hooks, or is a scheduler's or the user's."""
    own = "step" in vars(of) or of._optimizer_step_pre_hooks or of._optimizer_step_post_hooks
    return bool(own or optimizer._global_optimizer_pre_hooks or optimizer._global_optimizer_post_hooks)


def _tensors(optimizer: Optimizer, group: dict[str, Any]) -> list[list[Tensor]]:
    """The tensors that the kernel takes: parameters, gradients, moments, steps; none where it cannot take them."""
    gradients = [parameter.grad for parameter in group["params"]]
    states = [optimizer.state.get(parameter) for parameter in group["params"]]
    unusual = not gradients or group["amsgrad"] or group["differentiable"] or isinstance(group["lr"], Tensor)
    if unusual or not all(states) or any(gradient is None or gradient.is_sparse for gradient in gradients):
        return []
    return [group["params"], gradients, *([s[name] for s in states] for name in ("exp_avg", "exp_avg_sq", "step"))]  # type: ignore[index]
