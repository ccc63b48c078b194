"""The loss that a model of Hugging Face returns with its outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import UncopiedHook


class ReturnedLoss:
    """Keeps the loss of the latest forward pass of training, as backward sees it, without waiting for the device.

    Example:
        >>> class Net(nn.Module):
        ...     def forward(self, x):
        ...         return {"loss": x.sum(), "logits": x}
        >>> net, loss = Net(), ReturnedLoss()
        >>> loss.attach(net, divisor=2)
        >>> _ = net(torch.ones(3))
        >>> loss.take(), loss.take()
        (tensor(1.5000), None)
        >>> loss.detach()
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None
        self._divisor = 1
        self._hook: Any = None

    def attach(self, model: nn.Module, divisor: int) -> None:
        """Begins to look at what a model returns.

        Args:
            divisor: micro-batches of a step, by which the Trainer divides each loss, unless the model was given the
                number of all items of the step and has divided by that.
        """
        self.detach()
        self._divisor = divisor
        self._hook = model.register_forward_hook(UncopiedHook(self._returned), with_kwargs=True)

    def _returned(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not module.training or torch.compiler.is_compiling():
            return
        first = output[0] if isinstance(output, tuple) and output else None
        found = output.get("loss") if isinstance(output, Mapping) else first
        self._loss = found.detach() if isinstance(found, Tensor) and found.ndim == 0 else None
        is_divided = self._divisor == 1 or kwargs.get("num_items_in_batch") is not None
        if self._loss is not None and not is_divided:
            self._loss = self._loss / self._divisor

    def take(self) -> Tensor | None:
        """Returns the loss once; None where there is none."""
        loss, self._loss = self._loss, None
        return loss

    def detach(self) -> None:
        """Removes the hook."""
        if self._hook is not None:
            self._hook.remove()
        self._hook = self._loss = None
