"""Sends one batch forward and backward before any training, to compare the gradient with theory."""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.signal_propagation.expectation import Theory, assemble
from gradvitals.signal_propagation.reading import Preflight, TimeReading, ratio
from gradvitals.signal_propagation.through_time import predicted_factors, time_readings
from gradvitals.vitals import (
    ActivationGradients,
    ActivationStatistics,
    Chain,
    DeadUnits,
    ForwardOrder,
    InputGradient,
    Layer,
    LayerInputs,
    Outputs,
    RecurrentInputs,
    SignalGraph,
    TimeGradients,
    are_copies,
    find_layers,
    is_activation,
    is_layer,
    joint_norm,
    mean_and_std,
    norms,
    total,
)
from gradvitals.vitals.batch import faults, inputs_and_labels
from gradvitals.vitals.hooks import buffers_kept
from gradvitals.vitals.layers import outputs_of

Loss = Callable[[Tensor, Tensor], Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]


def preflight(
    network: nn.Module, batch: tuple[Tensor, Tensor], loss: Loss, optimizer: OptimizerFactory | None = None
) -> Preflight:
    """Measures one forward and backward pass in training mode, next to the predictions of theory.

    The network and the states of the random number generators do not change.

    Args:
        network: any module; called with the batch's inputs.
        batch: inputs and targets, tensors of any shapes that the network and the loss take.
        loss: a function of outputs and targets, with a mean over the batch.
        optimizer: a function from parameters to an optimizer, for ``update_ratio``; called with copies.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
        >>> batch = torch.randn(16, 4), torch.arange(16) % 3
        >>> found = preflight(net, batch, nn.functional.cross_entropy, lambda ps: torch.optim.SGD(ps, lr=0.1))
        >>> [layer.name for layer in found.layers], round(found.loss_expected, 4)  # log 3
        (['0', '2'], 1.0986)
    """
    with _untouched(network), closing(_Watch(network)) as watch:
        x, targets = (t.clone() if isinstance(t, Tensor) and t.is_inference() else t for t in batch)
        outputs = network(x)
        value = loss(outputs, targets)
        layers = find_layers(network, watch.order.modules)
        links = watch.chain.links([layer.module for layer in layers], value)  # type: ignore[misc]
        samples = len(x) if isinstance(x, Tensor) and x.ndim else None
        theory = Theory.of(layers, links, samples, watch.graph.nodes(value))
        value.backward()
        inputs = watch.at_input.take()
        measured = watch.readings(layers)
        ratios = _update_ratios(network, layers, optimizer) if optimizer else [None] * len(layers)
        expected = expected_loss(loss, outputs, targets)
        at_input = total(norms(inputs)).item() if inputs else None
        through_time = watch.through_time(layers)
    for reading, update_ratio in zip(measured, ratios, strict=True):
        reading["update_ratio"] = update_ratio
    symmetric = [layer.name for layer in layers if layer.weights[0].ndim > 1 and are_copies(layer.weights[0])]
    return assemble(
        layers, theory, measured, at_input, value.item(), expected, _faults(batch, layers), symmetric, through_time
    )


def _faults(batch: Any, layers: Sequence[Layer]) -> list[str]:
    x, y = inputs_and_labels(batch)
    counts = Counter(y.tolist()) if y is not None else {}
    return faults(x is None or bool(x.isfinite().all()), counts, outputs_of(layers))


def expected_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> float | None:
    """Returns the loss of a network that knows nothing; None if the outputs are not a tensor.

    It is the loss of zero outputs: log K for the cross-entropy of K classes, log 2 for binary cross-entropy. For a
    distance, which is 0 for outputs equal to the targets, it is the loss of the best constant output, the mean of the
    targets: their variance for the mean squared error.

    Args:
        outputs: outputs of the network, of which only the shape is used.

    Example:
        >>> targets = torch.tensor([[1.0], [3.0]])
        >>> expected_loss(nn.functional.mse_loss, torch.zeros(2, 1), targets)
        1.0
        >>> round(expected_loss(nn.functional.binary_cross_entropy_with_logits, torch.zeros(2, 1), targets / 3), 4)
        0.6931
    """
    if not isinstance(outputs, Tensor):
        return None
    constant = torch.zeros_like(outputs)
    with torch.no_grad():
        if targets.is_floating_point() and targets.numel() == outputs.numel():
            perfect = targets.reshape(outputs.shape).to(outputs)
            if loss(perfect, targets) == 0:
                constant = perfect.mean(0, keepdim=True).expand_as(outputs)
        return loss(constant, targets).item()


def _update_ratios(network: nn.Module, layers: Sequence[Layer], optimizer: OptimizerFactory) -> list[float | None]:
    """Returns the update ratios of a first step on copies of the parameters; None if the step needs a closure."""
    copies = {p: _copied(p) for p in network.parameters()}
    made = optimizer(list(copies.values()))
    closure = inspect.signature(made.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        return [None] * len(layers)
    made.step()
    return [_update_ratio([(w, copies[w]) for w in layer.weights if w in copies]) for layer in layers]


def _copied(parameter: nn.Parameter) -> nn.Parameter:
    copy = nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)
    copy.grad = None if parameter.grad is None else parameter.grad.clone()
    return copy


def _update_ratio(weights: Sequence[tuple[Tensor, Tensor]]) -> float | None:
    step = [after.detach().double() - before.detach().double() for before, after in weights]
    return ratio(joint_norm(step).item(), joint_norm([before.detach() for before, _ in weights]).item())


def _saturated(outputs: Outputs | None) -> float | None:
    return None if outputs is None or outputs.outside is None else ratio(outputs.outside.item(), outputs.count)


class _Watch:
    def __init__(self, network: nn.Module) -> None:
        layers = [module for module in network.modules() if is_layer(module)]
        acts = [module for module in network.modules() if is_activation(module)]
        self.order, self.at_input = ForwardOrder(network), InputGradient(*network.modules())
        self.chain = Chain(network)  # after InputGradient, because the input must require a gradient
        self.graph = SignalGraph(network)
        self.gradients, self.inputs = ActivationGradients(layers), LayerInputs(layers)
        self.recurrent, self.time = RecurrentInputs(layers), TimeGradients(layers)
        self.statistics, self.dead = ActivationStatistics(layers, acts), DeadUnits(layers, acts)

    def close(self) -> None:
        for part in vars(self).values():
            (part.pause if part is self.dead else part.close)()

    def through_time(self, layers: Sequence[Layer]) -> list[TimeReading]:
        found = self.time.take()
        norms = {layer.name: found[layer.module].sqrt().tolist() for layer in layers if layer.module in found}
        return time_readings(norms, predicted_factors(layers, self.recurrent))

    def readings(self, layers: Sequence[Layer]) -> list[dict[str, float | None]]:
        gradients, inputs, seen = self.gradients.take(), self.inputs.take(), self.statistics.take()
        peaks = self.dead.peaks
        readings = []
        for layer in layers:
            module: nn.Module = layer.module  # type: ignore[assignment]
            received = [weight.grad for weight in layer.weights if weight.grad is not None]
            grad_norm = joint_norm(received).item() if received else None
            squares, samples = inputs.get(module, (torch.zeros(()), 1))
            outputs, gradient = seen.get(module), gradients.get(module)
            sums = (outputs.count, outputs.sum.item(), outputs.squares.item()) if outputs and outputs.count else None
            mean, std = mean_and_std(*sums) if sums else (None, None)
            readings.append(
                {
                    "activation_mean": mean,
                    "activation_std": std,
                    "dead_fraction": (peaks[module] == 0).double().mean().item() if module in peaks else None,
                    "saturated_fraction": _saturated(outputs),
                    "activation_grad_norm": None if gradient is None else gradient.item(),
                    "grad_norm": grad_norm,
                    "grad_norm_corrected": ratio(grad_norm, math.sqrt(squares.item() / samples)),
                }
            )
        return readings


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Sets training mode, and restores modes, moving statistics, gradients and random states at the end."""
    modes = {module: module.training for module in network.modules()}
    gradients = {parameter: parameter.grad for parameter in network.parameters()}
    devices = {parameter.device for parameter in network.parameters() if parameter.is_cuda}
    network.train().zero_grad(set_to_none=True)
    try:
        with (
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.random.fork_rng(list(devices)),
            buffers_kept(network),
        ):
            yield
    finally:
        for module, mode in modes.items():
            module.training = mode
        for parameter, gradient in gradients.items():
            parameter.grad = gradient
