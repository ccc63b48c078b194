"""Finds the origin of the first number that is not finite."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.vitals.hooks import remove, tensors_in
from gradvitals.vitals.norms import are_finite


@dataclass(frozen=True)
class NonFinite:
    """The place of the first number that is not finite.

    Attributes:
        where: ``parameter``, ``batch``, ``forward`` (a module's output), ``loss``, ``backward`` (the gradient of the
            loss with respect to a module's output) or ``gradient`` (of a parameter).
        name: dotted name of the module or parameter; ``inputs`` or ``labels`` of a batch that is a pair of them; empty
            for the loss and the network itself.
        kind: the module's class.

    Example:
        >>> str(NonFinite("forward", "net.1", "ReLU"))
        'the output of net.1 (ReLU)'
    """

    where: str
    name: str = ""
    kind: str = ""

    def __str__(self) -> str:
        of = f"{self.name or 'the network'} ({self.kind})"
        return {
            "parameter": f"the parameter {self.name}",
            "batch": f"the {self.name} of the batch" if self.name else "the batch itself",
            "forward": f"the output of {of}",
            "loss": "the loss, while the outputs are finite",
            "backward": f"the gradient of the loss with respect to the output of {of}",
            "gradient": f"the gradient of {self.name}",
        }[self.where]


def first_non_finite(network: nn.Module, batch: Any, loss: Callable[[], Tensor | None]) -> NonFinite | None:
    """Repeats a batch and returns where its first number that is not finite arises; None if there is none.

    The order is: parameters, the batch, the output of each module as it returns, the loss, the gradient with respect to
    each of these outputs as backward reaches it, the gradients of the parameters. No ``.grad`` changes; moving
    statistics are updated once more.

    Args:
        network: any module.
        batch: what it was given: a tensor of any shape, a pair of inputs and labels, or a nested structure of them.
        loss: runs the network on the batch and returns the loss, shape ``()``.

    Example:
        >>> net = nn.Sequential(nn.Linear(1, 1), nn.ReLU())
        >>> _ = net[0].weight.data.fill_(1.0), net[0].bias.data.fill_(0.0)
        >>> x = torch.tensor([[0.0]])
        >>> str(first_non_finite(net, x, lambda: net(x).sqrt().sum()))  # the slope of sqrt at 0
        'the gradient of the loss with respect to the output of 1 (ReLU)'
    """
    for name, parameter in network.named_parameters():
        if not are_finite([parameter.detach()]):
            return NonFinite("parameter", name)
    if (part := _bad_part(batch)) is not None:
        return NonFinite("batch", part)
    found: list[NonFinite] = []
    hooks = [
        module.register_forward_hook(partial(_look, found, name, type(module).__name__))
        for name, module in network.named_modules()
    ]
    try:
        return _run(network, loss, found)
    finally:
        remove(hooks)


def _bad_part(batch: Any) -> str | None:
    pair = isinstance(batch, (list, tuple)) and len(batch) == 2
    for name, part in zip(("inputs", "labels"), batch, strict=True) if pair else [("", batch)]:
        if not are_finite([x for x in tensors_in(part) if x.is_floating_point()]):
            return name
    return None


def _run(network: nn.Module, loss: Callable[[], Tensor | None], found: list[NonFinite]) -> NonFinite | None:
    with torch.enable_grad():
        value = loss()
    if found or value is None:
        return found[0] if found else None
    if not are_finite([value.detach()]):
        return NonFinite("loss")
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    gradients = torch.autograd.grad(value, list(trained.values()), allow_unused=True)
    if found:
        return found[0]
    bad = (name for name, g in zip(trained, gradients, strict=True) if g is not None and not are_finite([g]))
    return next((NonFinite("gradient", name) for name in bad), None)


def _look(found: list[NonFinite], name: str, kind: str, module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    for tensor in tensors_in(output):
        if (tensor.is_floating_point() or tensor.is_complex()) and not are_finite([tensor.detach()]):
            found.append(NonFinite("forward", name, kind))
        if tensor.requires_grad:
            tensor.register_hook(partial(_look_back, found, NonFinite("backward", name, kind)))


def _look_back(found: list[NonFinite], finding: NonFinite, gradient: Tensor) -> None:
    if not are_finite([gradient.detach()]):
        found.append(finding)
