"""One batch forward and backward before any training: how the gradient will travel, and how theory says it should.

The file is not called like its function, or ``gradvitals.preflight`` would be now the one and now the other.
"""

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
from gradvitals.signal_propagation.reading import Preflight, _ratio
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
    """Send one batch through a network in training mode and back; the network stays as it was.

    So do the states of the random number generators.

    Args:
        network: any module; called with the batch's inputs.
        batch: inputs and targets.
        loss: outputs and targets in, a mean over the batch out.
        optimizer: makes the optimizer of the parameters it is given, for ``update_ratio``. It is given copies.

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
        theory = Theory.of(layers, links, len(x) if isinstance(x, Tensor) and x.ndim else None)
        value.backward()
        inputs = watch.at_input.take()
        measured = watch.readings(layers)
        ratios = _update_ratios(network, layers, optimizer) if optimizer else [None] * len(layers)
        expected = expected_loss(loss, outputs, targets)
        at_input = total(norms(inputs)).item() if inputs else None
    for reading, ratio in zip(measured, ratios, strict=True):
        reading["update_ratio"] = ratio
    copies = [layer.name for layer in layers if layer.weights[0].ndim > 1 and are_copies(layer.weights[0])]
    words = faults_of(batch, layers)
    return assemble(layers, theory, measured, at_input, value.item(), expected, words, copies)


def faults_of(batch: Any, layers: Sequence[Layer]) -> list[str]:
    """What no network can learn from, as far as one batch shows; see :func:`gradvitals.vitals.batch.faults`."""
    x, y = inputs_and_labels(batch)
    counts = Counter(y.tolist()) if y is not None else {}
    return faults(x is None or bool(x.isfinite().all()), counts, outputs_of(layers))


def expected_loss(loss: Loss, outputs: Tensor, targets: Tensor) -> float | None:
    """The loss of outputs that know nothing.

    That of an all-zero output: log K for the cross-entropy of K classes, log 2 for binary cross-entropy. A loss that is
    0 where the outputs are the targets measures a distance, and there it is that of the best constant output, the
    targets' mean: their variance for the mean squared error.

    Args:
        loss: outputs and targets in, a mean over the batch out.
        outputs: of the network; their shape alone counts.
        targets: of the batch.

    Returns:
        None where the outputs are no tensor.

    Example:
        >>> targets = torch.tensor([[1.0], [3.0]])
        >>> expected_loss(nn.functional.mse_loss, torch.zeros(2, 1), targets)
        1.0
        >>> round(expected_loss(nn.functional.binary_cross_entropy_with_logits, torch.zeros(2, 1), targets / 3), 4)
        0.6931
    """
    if not isinstance(outputs, Tensor):
        return None
    nothing = torch.zeros_like(outputs)
    with torch.no_grad():
        if targets.is_floating_point() and targets.numel() == outputs.numel():
            alike = targets.reshape(outputs.shape).to(outputs)
            if loss(alike, targets) == 0:
                nothing = alike.mean(0, keepdim=True).expand_as(outputs)
        return loss(nothing, targets).item()


def _update_ratios(network: nn.Module, layers: Sequence[Layer], optimizer: OptimizerFactory) -> list[float | None]:
    """What a first step does to copies of the parameters, over their size; None where a step wants the loss again."""
    copies = {p: _copied(p) for p in network.parameters()}
    made = optimizer(list(copies.values()))
    closure = inspect.signature(made.step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        return [None] * len(layers)
    made.step()
    return [_moved([(w, copies[w]) for w in layer.weights if w in copies]) for layer in layers]


def _copied(parameter: nn.Parameter) -> nn.Parameter:
    same = nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)
    same.grad = None if parameter.grad is None else parameter.grad.clone()
    return same


def _moved(weights: Sequence[tuple[Tensor, Tensor]]) -> float | None:
    step = [after.detach().double() - before.detach().double() for before, after in weights]
    return _ratio(joint_norm(step).item(), joint_norm([before.detach() for before, _ in weights]).item())


def _saturated(outputs: Outputs | None) -> float | None:
    return None if outputs is None or outputs.outside is None else _ratio(outputs.outside.item(), outputs.count)


class _Watch:
    """Everything that looks at the one pass."""

    def __init__(self, network: nn.Module) -> None:
        layers = [module for module in network.modules() if is_layer(module)]
        acts = [module for module in network.modules() if is_activation(module)]
        self.order, self.at_input = ForwardOrder(network), InputGradient(*network.modules())
        self.chain = Chain(network)  # after the input has been made to take a gradient
        self.gradients, self.inputs = ActivationGradients(layers), LayerInputs(layers)
        self.statistics, self.dead = ActivationStatistics(layers, acts), DeadUnits(layers, acts)

    def close(self) -> None:
        """Take all hooks off."""
        self.dead.pause()
        for part in (self.order, self.at_input, self.chain, self.gradients, self.inputs, self.statistics):
            part.close()

    def readings(self, layers: Sequence[Layer]) -> list[dict[str, float | None]]:
        """What was seen of each layer, by the names of :class:`LayerReading`."""
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
                    "grad_norm_corrected": _ratio(grad_norm, math.sqrt(squares.item() / samples)),
                }
            )
        return readings


@contextmanager
def _untouched(network: nn.Module) -> Iterator[None]:
    """Training mode for now; modes, moving statistics, gradients and random numbers are put back."""
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
