"""Sees the backward passes of a loop that nobody else announces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradvitals.vitals.function_modes import LooseMode


class BackwardCalls(LooseMode):
    """Calls back before and after each ``Tensor.backward`` of this thread.

    After ``backward`` returns, all gradients are complete, those that processes share included, and nothing has clipped
    them yet. ``torch.autograd.backward`` is no method of a tensor and is not seen.

    Args:
        before: is given the tensor, whose graph is still there.
        after: is called when the gradients are complete.

    Example:
        >>> import torch
        >>> weight, seen = torch.ones(2, requires_grad=True), []
        >>> with BackwardCalls(lambda loss: seen.append(loss.item()), lambda: seen.append(weight.grad.tolist())):
        ...     (3 * weight).sum().backward()
        >>> seen
        [6.0, [3.0, 3.0]]
    """

    def __init__(self, before: Callable[[Tensor], None], after: Callable[[], None]) -> None:
        super().__init__()
        self._before, self._after = before, after

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not Tensor.backward or torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        self._before(args[0])
        result = func(*args, **(kwargs or {}))
        self._after()
        return result
