"""Predictions of theory for a network with convolutions: signals forward through its graph, gradients back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.signal_propagation.through_time import MAX_STANDARD_ERRORS
from gradvitals.theory import Prediction, elementwise
from gradvitals.theory.convolution import Convolution, transposed
from gradvitals.theory.gradient_map import GradientMap, chosen, joined
from gradvitals.theory.signal_map import Sampler, SignalMap, added, after_act, from_values, normalized, scaled, slopes
from gradvitals.vitals import Layer, SignalNode


@dataclass
class _Step:
    """What is known of a node.

    Attributes:
        signal: its output.
        weights: of a layer.
        slopes: of an activation or a norm, see :func:`gradvitals.theory.signal_map.slopes`.
        order: of a sum, that of its second input's values.
        chosen: of a maximum, see :func:`gradvitals.theory.gradient_map.chosen`.
        gradient: that of the output, in units of that of ``root``.
        root: number of the layer from which gradients are counted.
        uses: what the nodes that use the output pass to it, with their roots and numbers; None where it is unknown.
    """

    signal: SignalMap | None = None
    weights: Convolution | None = None
    slopes: tuple[Tensor, Tensor] | None = None
    order: Tensor | None = None
    chosen: Tensor | None = None
    gradient: GradientMap | None = None
    root: int | None = None
    uses: list[tuple[GradientMap | None, int | None, int]] = field(default_factory=list)


def graph_predictions(layers: Sequence[Layer], nodes: Sequence[SignalNode]) -> list[Prediction | None]:
    """Predicts the gain of each layer, as :func:`gradvitals.theory.predict` does for chains of linear layers.

    The signal is that of theory from the first layer on, whose output is measured. Measured, too, are what a pool does
    to the signal, because it depends on how neighboring pixels correlate, and how the variances of channels differ.

    Returns:
        One entry per layer; None where a layer, or what is between it and the next, is unknown to theory.
    """
    steps = _forward(nodes)
    _backward(nodes, steps)
    places = {node.module: number for number, node in enumerate(nodes) if node.kind == "layer"}
    found: list[Prediction | None] = [None] * len(layers)
    for i, (layer, after) in enumerate(pairwise(layers)):
        here, there = places.get(layer.module), places.get(after.module)
        if here is not None and there is not None:
            found[i] = _prediction(steps[here], steps[there], _scatter(here, nodes, steps))
    return found


def _prediction(step: _Step, after: _Step, scatter: float) -> Prediction | None:
    if step.gradient is None or after.gradient is None or step.root != after.root:
        return None
    above = after.gradient.total
    gain = step.gradient.total / above if above else math.nan
    return Prediction(gain, scatter) if 0 < gain < math.inf else None


def _scatter(number: int, nodes: Sequence[SignalNode], steps: Sequence[_Step]) -> float:
    """Estimates the standard deviation of a log squared gain, where all positions have the same gradient.

    Then a convolution acts on it as a linear layer of as many units as it has channels, see
    :func:`gradvitals.theory.log_scatter`.
    """
    kurtosis, user = 1.0, number
    while steps[user].uses and nodes[user := steps[user].uses[0][2]].kind != "layer":
        known = steps[user].slopes
        if nodes[user].kind == "act" and known is not None and known[1].mean() > 0:
            kurtosis = (known[1].square().mean() / known[1].mean() ** 2).item()
            break
    return math.sqrt((3 * kurtosis - 1) / nodes[number].shape[0])


def _forward(nodes: Sequence[SignalNode]) -> list[_Step]:
    sampler, steps = Sampler(), list[_Step]()
    for node in nodes:
        before = [_given(steps[i].signal, node) if i is not None else None for i in node.inputs]
        steps.append(_step(node, before, sampler))
    return steps


def _given(signal: SignalMap | None, node: SignalNode) -> SignalMap | None:
    """Returns a signal as a node receives it; None if a flattened one is no longer known."""
    if signal is None or signal.square.shape == node.input_shape[1:]:
        return signal
    return replace(signal, square=signal.square.reshape(())) if signal.square.numel() == 1 else None


def _step(node: SignalNode, before: Sequence[SignalMap | None], sampler: Sampler) -> _Step:
    module: Any = node.module
    x = before[0]
    if node.kind == "layer":
        weights = _weights(module)
        return _Step() if weights is None else _Step(_after_weights(node, weights, x, sampler), weights)
    if any(signal is None for signal in before) or x is None:
        return _Step()
    if node.kind == "act":
        act = elementwise(module)
        return _Step() if act is None else _Step(after_act(act, x), slopes=slopes(act, x))
    if node.kind == "batch":
        gain = 1.0 if module.weight is None else module.weight.detach()[0].item()
        signal, factor = normalized(x, module.eps)
        return _Step(scaled(signal, gain), slopes=(gain**2 * factor.mean(), factor))
    if node.kind == "add":
        order = sampler.order()
        return _Step(added(x, before[1], order), order=order)  # type: ignore[arg-type]
    return _after_pool(node, x)


def _weights(layer: Any) -> Convolution | None:
    """Describes the weights of a layer; None if their mean is not 0."""
    weight = layer.weight.detach()
    weight = weight if weight.dtype in (torch.float32, torch.float64) else weight.float()
    squares, mean = weight.square().mean((0, 1)).cpu().double(), weight.mean().item()
    if not abs(mean) <= MAX_STANDARD_ERRORS * math.sqrt(squares.mean().item() / weight.numel()) < math.inf:
        return None
    taps = weight.shape[1] * squares
    bias = layer.bias.detach().float().square().mean().item() if layer.bias is not None else 0.0
    if isinstance(layer, nn.Linear):
        return Convolution(taps, bias)
    padding = layer.padding
    if padding == "valid":
        padding = (0,) * taps.ndim
    return Convolution(taps, bias, layer.stride, padding, layer.dilation, layer.padding_mode)


def _after_weights(node: SignalNode, weights: Convolution, x: SignalMap | None, sampler: Sampler) -> SignalMap | None:
    assert node.measured is not None
    variances = node.measured.variances
    if x is None:
        square = node.measured.square
        return sampler.normal(square, node.measured.common, variances) if 0 < square.max() < math.inf else None
    square = weights(x.square)
    if not 0 < square.max() < math.inf:
        return None
    return sampler.normal(square + weights.bias, weights.common(x.square, x.common) + weights.bias, variances)


def _after_pool(node: SignalNode, x: SignalMap) -> _Step:
    if node.kind == "mean":
        return _Step()
    assert node.measured is not None
    given, sample = node.measured.given, node.measured.sample
    assert given is not None
    assert sample is not None
    square = _pool(node)(x.square)
    signal = from_values(square * (node.measured.growth * x.mean_square / square.mean().item()), sample)
    return _Step(signal, chosen=chosen(x, given, sample) if node.kind == "max" else None)


def _pool(node: SignalNode) -> Callable[[Tensor], Tensor]:
    """Returns a pool's mean over each window, as a function of a map."""
    if node.kind == "mean":
        return lambda x: x.mean()
    module: Any = node.module
    axes = len(node.input_shape) - 1
    if "Adaptive" in type(module).__name__:
        pool = getattr(nn, f"AdaptiveAvgPool{axes}d")(node.shape[1:])
    else:
        options: dict[str, Any] = {"padding": module.padding, "ceil_mode": module.ceil_mode}
        options["count_include_pad"] = False
        pool = getattr(nn, f"AvgPool{axes}d")(module.kernel_size, module.stride, **options)
    return lambda x: pool(x[None, None])[0, 0]


def _backward(nodes: Sequence[SignalNode], steps: Sequence[_Step]) -> None:
    """Sets the gradients, from the last node to the first."""
    for number in reversed(range(len(nodes))):
        node, step = nodes[number], steps[number]
        known = [gradient for gradient, _, _ in step.uses if gradient is not None]
        roots = {root for _, root, _ in step.uses}
        if node.is_whole and len(roots) == 1 and known and len(known) == len(step.uses):
            step.gradient, step.root = joined(known), roots.pop()
        elif node.kind == "layer" and step.weights is not None:
            step.gradient, step.root = GradientMap.even(torch.ones(node.shape[1:], dtype=torch.float64)), number
        for place, before in enumerate(node.inputs):
            if before is not None:
                passed = _passed(node, step, place)
                passed = passed and _reshaped(passed, nodes[before].shape[1:])
                steps[before].uses.append((passed, step.root, number))


def _passed(node: SignalNode, step: _Step, place: int) -> GradientMap | None:
    """Returns the gradient that a node passes to one of its inputs."""
    after, shape = step.gradient, node.input_shape[1:]
    needed = {"layer": step.weights, "mean": after}.get(node.kind, step.signal)
    if after is None or needed is None:
        return None
    if step.weights is not None:
        return GradientMap.even(transposed(_met(node, step.weights, after), shape, after.square))
    if node.kind == "add":
        return after if place == 0 else GradientMap(after.square, _undone(after.shares, step.order))
    if step.slopes is not None:
        return after.times(*step.slopes)
    before = transposed(_pool(node), shape, after.square)
    if step.chosen is not None:  # the gradient of a maximum goes to one of the pixels
        return GradientMap(before, step.chosen)
    return GradientMap.even(before / _window(node))  # each of n pixels has a share 1 / n of the mean


def _undone(shares: Tensor, order: Tensor | None) -> Tensor:
    assert order is not None
    return torch.empty_like(shares).flatten().index_copy_(0, order, shares.flatten()).reshape(shares.shape)


def _reshaped(gradient: GradientMap, positions: Sequence[int]) -> GradientMap:
    """Returns the gradient as the node before sees it, whose output may have been flattened."""
    square = gradient.square
    if tuple(square.shape) == tuple(positions):
        return gradient
    return replace(gradient, square=square.expand(tuple(positions)) / math.prod(positions))


def _met(node: SignalNode, weights: Convolution, after: GradientMap) -> Convolution:
    """Returns the weights, each output channel scaled by its share of the gradient.

    The shares differ behind a norm: it passes more of the gradient to channels that vary less, those of small weights.
    """
    module: Any = node.module
    shares = after.by_channel(node.shape[0])
    rows = module.weight.detach()[: len(shares)].flatten(1).float().square().sum(1).cpu().double()
    level = ((shares * rows).mean() / rows.mean()) if rows.mean() > 0 else 1.0
    return replace(weights, taps=weights.taps * level)


def _window(node: SignalNode) -> float:
    """Returns the number of pixels of which a pool is the mean."""
    size = getattr(node.module, "kernel_size", None)
    if size is None:
        return math.prod(node.input_shape[1:]) / math.prod(node.shape[1:])
    return math.prod(size) if isinstance(size, tuple) else size ** (len(node.shape) - 1)
