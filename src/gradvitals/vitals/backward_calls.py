"""Finds the backward passes of a training loop that does not announce them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Self

import torch
from torch import Tensor

from gradvitals.vitals.function_modes import LooseMode
from gradvitals.vitals.hooks import remove, weak


class BackwardCalls(LooseMode):
    """Calls back before and after each ``Tensor.backward`` of this thread.

    After ``backward`` returns, all gradients are complete, those that processes share included, and nothing has clipped
    them yet. ``torch.autograd.backward``, and a pass in another thread, are seen by :class:`GradientsArrive`.

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
        self.is_within = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not Tensor.backward or torch.compiler.is_compiling():
            return func(*args, **(kwargs or {}))
        self._before(args[0])
        self.is_within = True
        try:
            result = func(*args, **(kwargs or {}))
        finally:
            self.is_within = False
        self._after()
        return result


class GradientsArrive:
    """Calls back at the end of each backward pass in which one of some parameters receives its gradient.

    Costs a call of Python for each parameter in each pass. Gradients that processes share are not complete by then.

    Args:
        parameters: those that require a gradient.
        after: is called by the thread that ends the pass.

    Example:
        >>> import torch
        >>> weight, seen = torch.ones(2, requires_grad=True), []
        >>> arrive = GradientsArrive([weight], lambda: seen.append(weight.grad.tolist()))
        >>> torch.autograd.backward([(3 * weight).sum()]); arrive.leave()
        >>> seen
        [[3.0, 3.0]]
    """

    def __init__(self, parameters: Iterable[Tensor], after: Callable[[], None]) -> None:
        self._after = after
        self._latest = -1  # backward pass
        arrived = weak(self._arrived)
        self._hooks = [one.register_post_accumulate_grad_hook(arrived) for one in parameters]

    def _arrived(self, parameter: Tensor) -> None:
        current = torch._C._current_graph_task_id()
        if current != self._latest:
            self._latest = current
            torch.autograd.Variable._execution_engine.queue_callback(weak(self._ended))

    def _ended(self) -> None:
        self._after()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Removes the hooks."""
        remove(self._hooks)
