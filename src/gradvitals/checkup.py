"""One batch forward and backward before any training: how the gradient will travel.

The file is not called like its function, or ``gradvitals.preflight`` would be now the one and now the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradvitals.diagnosis.profile import Profile, profile
from gradvitals.vitals import ActivationGradients, ForwardOrder, InputGradient, find_layers, is_layer, norms, total
from gradvitals.vitals.hooks import buffers_kept


@dataclass(frozen=True)
class LayerReading:
    """One layer at the start.

    Attributes:
        name, index, kind: see :class:`gradvitals.vitals.Layer`.
        grad_norm: L2 of dL/dW; None where the weight has no gradient.
        activation_grad_norm: L2 over batch and features of dL/dh; None where backward did not pass.
        gain_measured: this layer's ``activation_grad_norm`` over the next one's; None at the last.
    """

    name: str
    index: int
    kind: str
    grad_norm: float | None
    activation_grad_norm: float | None
    gain_measured: float | None


@dataclass(frozen=True)
class Preflight:
    """What one batch showed.

    Attributes:
        layers: by depth.
        input_grad_norm: L2 over batch and features of dL/dx; None where the input is no floating-point tensor.
        loss_start: the loss of this batch.
        profile: the shape of the activation gradients.
    """

    layers: list[LayerReading]
    input_grad_norm: float | None
    loss_start: float
    profile: Profile


def preflight(network: nn.Module, batch: tuple[Tensor, Tensor], loss: Callable[[Tensor, Tensor], Tensor]) -> Preflight:
    """Send one batch through a network in training mode and back; the network stays as it was.

    Args:
        network: any module; called with the batch's inputs.
        batch: inputs and targets.
        loss: outputs and targets in, a mean over the batch out.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> found = preflight(net, (torch.randn(16, 4), torch.arange(16) % 3), nn.functional.cross_entropy)
        >>> [layer.name for layer in found.layers]
        ['0', '2']
    """
    x, targets = batch
    with (
        _untouched(network),
        closing(ForwardOrder(network)) as order,
        closing(InputGradient(network)) as at_input,
        closing(ActivationGradients(m for m in network.modules() if is_layer(m))) as activations,
    ):
        value = loss(network(x), targets)
        value.backward()
        layers, outputs = find_layers(network, order.modules), activations.take()
        weights = [None if layer.weights[0].grad is None else layer.weights[0].grad.norm().item() for layer in layers]
        inputs = at_input.take()
    of_outputs = [outputs[layer.module].item() if layer.module in outputs else None for layer in layers]
    readings = [
        LayerReading(layer.name, layer.index, layer.kind, weight, output, _ratio(output, after))
        for layer, weight, output, after in zip(layers, weights, of_outputs, [*of_outputs[1:], None], strict=True)
    ]
    return Preflight(readings, total(norms(inputs)).item() if inputs else None, value.item(), profile(of_outputs))


def _ratio(gradient: float | None, after: float | None) -> float | None:
    return gradient / after if gradient is not None and after else None


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Training mode for now; each module's mode, moving statistics and gradients are put back."""
    modes = {module: module.training for module in network.modules()}
    gradients = {parameter: parameter.grad for parameter in network.parameters()}
    network.train().zero_grad(set_to_none=True)
    try:
        with torch.enable_grad(), buffers_kept(network):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
