"""A step of torch's fused Adam by its kernels alone, without the questions that ``step`` asks each time.

For a small network these questions (hooks, profilers, devices, CUDA graphs) take longer than the kernels.
"""

from __future__ import annotations

from collections.abc import Callable
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
    is_torchs = "step" not in vars(optimizer)  # a scheduler's or the user's is called
    return FusedStep(optimizer) if is_fused and is_alike and is_torchs else optimizer.step


class FusedStep:
    """Evaluates a closure and updates; by ``step`` where that would do more.

    That is where it has hooks, and for a first step, a parameter without a gradient or an unusual setting.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer

    def __call__(self, closure: Closure) -> None:
        if self._has_hooks():
            self._optimizer.step(closure=closure)
            return
        closure()
        updates = [self._update_of(group) for group in self._optimizer.param_groups]
        if self._has_hooks() or not all(updates):
            self._optimizer.step()
            return
        with torch.no_grad():
            for update in updates:
                update()  # type: ignore[misc]

    def _has_hooks(self) -> bool:
        of_its_own = self._optimizer._optimizer_step_pre_hooks or self._optimizer._optimizer_step_post_hooks
        return bool(of_its_own or optimizer._global_optimizer_pre_hooks or optimizer._global_optimizer_post_hooks)

    def _update_of(self, group: dict[str, Any]) -> Callable[[], None] | None:
        """The update of one group of parameters; None where ``step`` has to do it."""
        parameters, (beta1, beta2) = group["params"], group["betas"]
        gradients, states = [p.grad for p in parameters], [self._optimizer.state.get(p) for p in parameters]
        unusual = group["amsgrad"] or group["differentiable"] or isinstance(group["lr"], Tensor)
        if unusual or not all(states) or any(g is None or g.is_sparse for g in gradients):
            return None
        steps = [state["step"] for state in states]  # type: ignore[index]
        means, squares = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq"))  # type: ignore[index]
        kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_

        def update() -> None:
            torch._foreach_add_(steps, 1)
            kernel(
                parameters,
                gradients,
                means,
                squares,
                [],
                steps,
                amsgrad=False,
                lr=group["lr"],
                beta1=beta1,
                beta2=beta2,
                weight_decay=group["weight_decay"],
                eps=group["eps"],
                maximize=group["maximize"],
            )

        return update
