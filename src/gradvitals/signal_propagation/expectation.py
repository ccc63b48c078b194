"""Predictions of theory for a network's layers, next to the measurements."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Any

from torch import Tensor, nn

from gradvitals.diagnosis.profile import profile
from gradvitals.signal_propagation.graph_expectation import graph_predictions
from gradvitals.signal_propagation.reading import LayerReading, Preflight, TimeReading, ratio
from gradvitals.signal_propagation.through_time import MAX_STANDARD_ERRORS, OUT_OF_RANGE
from gradvitals.theory import Prediction, Stage, correlation_depth, elementwise, fixed_point, predict
from gradvitals.vitals import Layer, Link, SignalNode

CRITICAL = 1e-3  # a rate per layer whose logarithm is smaller counts as 1
SETTLED = 0.05  # maximal distance of the log rate of late layers from the fixed point's, in addition to its scatter


@dataclass(frozen=True)
class Theory:
    """Theory for the current weights of a network, with one entry per layer; None where there is no theory."""

    stages: Sequence[Stage | None]
    links: Sequence[Link | None]
    predictions: Sequence[Prediction | None]

    @classmethod
    def of(
        cls,
        layers: Sequence[Layer],
        links: Sequence[Link | None],
        samples: int | None,
        nodes: Sequence[SignalNode] = (),
    ) -> Theory:
        """Reads the weights and predicts gains.

        Args:
            samples: size of the batch.
            nodes: the graph of a network with convolutions, which then is what gains are predicted from.
        """
        acts: dict[tuple[Any, ...], Callable[[Tensor], Tensor]] = {}  # equal activations become the same function
        stages = [_stage(layer, link, acts) if link else None for layer, link in zip(layers, links, strict=True)]
        predicted = graph_predictions(layers, nodes) if nodes else _predictions(stages, links, samples)
        return cls(stages, links, predicted)


def assemble(
    layers: Sequence[Layer],
    theory: Theory,
    measured: Sequence[dict[str, float | None]],
    input_grad_norm: float | None,
    loss_start: float,
    loss_expected: float | None,
    faults: Sequence[str] = (),
    symmetric: Sequence[str] = (),
    through_time: Sequence[TimeReading] = (),
) -> Preflight:
    """Combines measurements and theory.

    Args:
        measured: values per layer, by the names of :class:`LayerReading`, without gains.
        input_grad_norm, loss_start, loss_expected, faults, symmetric, through_time: see :class:`Preflight`.
    """
    gradients = [reading["activation_grad_norm"] for reading in measured]
    gains = [ratio(*pair) for pair in pairwise(gradients)] + [None] * bool(layers)
    readings = [
        LayerReading(
            layer.name,
            layer.index,
            layer.kind,
            gain_measured=gain,
            gain_predicted=prediction.gain**0.5 if prediction else None,
            gain_scatter=prediction.scatter / 2 if prediction else None,
            **reading,
        )
        for layer, reading, gain, prediction in zip(layers, measured, gains, theory.predictions, strict=True)
    ]
    depth = None
    with suppress(*OUT_OF_RANGE):
        depth = _trainable_depth(theory, gains)
    shape = profile(gradients)
    return Preflight(
        readings, input_grad_norm, loss_start, loss_expected, depth, shape, faults, symmetric, through_time
    )


def _predictions(
    stages: Sequence[Stage | None], links: Sequence[Link | None], batch_size: int | None
) -> list[Prediction | None]:
    found: list[Prediction | None] = [None] * len(stages)
    for first, end in _chains(stages, links):
        start, chain = links[first], stages[first:end]
        with suppress(*OUT_OF_RANGE):
            found[first:end] = predict(chain, start.output_square, batch_size, start.input_square)  # type: ignore[union-attr, arg-type]
    return found


def _trainable_depth(theory: Theory, measured: Sequence[float | None]) -> float | None:
    stages, links, predicted = theory.stages, theory.links, theory.predictions
    hidden = [stage for stage in stages[:-1] if stage]
    between = slice(1, len(hidden) - 1)  # hidden layers except the first, whose rate depends on the data
    rates, found = [p for p in predicted[between] if p], [gain for gain in measured[between] if gain]
    whole = len(hidden) == len(stages) - 1 and all(link and link.leads_on for link in links[:-1])
    alike = len({(id(stage.act), stage.norm, stage.norm_position, stage.block) for stage in hidden}) == 1
    if not whole or not alike or hidden[0].block != "plain" or not rates or len(rates) != len(found):
        return None
    # The relative error of the variance of n random weights is sqrt(2 / n); of the ratio of two halves, sqrt(8 / n).
    num_weights = sum(stage.fan_in * stage.fan_out for stage in hidden[1:])
    error = max(CRITICAL, 3 * math.sqrt(8 / num_weights))
    if hidden[0].norm:
        lengths, rate = 16, abs(fmean(math.log(p.gain) for p in rates))
    else:
        late = slice(len(found) // 2, None)
        lengths, rate = 6, _plain_rate(hidden[1:], found[late], rates[-1].scatter)
    return lengths / rate if rate > error else None


def _plain_rate(hidden: Sequence[Stage], measured: Sequence[float], scatter: float) -> float:
    """Returns 1 over the correlation length; 0 if the gains of late layers are not those of the fixed point.

    For example, GELU with He's initialization needs dozens of layers to converge to it.
    """
    weights, biases = (fmean(getattr(stage, name) for stage in hidden) for name in ("sigma_w2", "sigma_b2"))
    act: Any = hidden[0].act
    rate = fixed_point(act, weights, biases)[1]
    distance = abs(fmean(2 * math.log(gain) for gain in measured) - math.log(rate)) if rate else math.inf
    if not distance <= SETTLED + 2 * scatter / math.sqrt(len(measured)):
        return 0.0
    xi = correlation_depth(act, weights, biases)[0]
    return 1 / xi if xi else math.inf


def _stage(layer: Layer, link: Link, acts: dict[tuple[Any, ...], Callable[[Tensor], Tensor]]) -> Stage | None:
    """Describes a layer; None if the mean of its weights is not 0, or its activation is not elementwise."""
    act = _function(link.act, acts) if link.act else None
    if link.act and act is None:
        return None
    weight = layer.weights[0].detach().double()
    fan_out, fan_in = weight.shape
    variance, mean = weight.var(unbiased=False).item(), weight.mean().item()
    if not abs(mean) <= MAX_STANDARD_ERRORS * math.sqrt(variance / weight.numel()) < math.inf:
        return None  # a common mean of all weights adds up over the units
    bias = getattr(layer.module, "bias", None)
    return Stage(
        act=act,
        sigma_w2=fan_in * variance,
        sigma_b2=bias.detach().double().square().mean().item() if bias is not None else 0.0,
        norm=link.norm,
        norm_position=link.norm_position,
        block=link.block,
        branch_scale=link.scale,
        fan_in=fan_in,
        fan_out=fan_out,
    )


def _function(
    act: nn.Module, known: dict[tuple[Any, ...], Callable[[Tensor], Tensor]]
) -> Callable[[Tensor], Tensor] | None:
    """Returns the activation as a function on float64, a known one if that is equal; None if it is not elementwise."""
    function = elementwise(act)
    if function is None:
        return None
    learned = [(name, *p.detach().flatten().tolist()) for name, p in act.named_parameters()]
    return known.setdefault((type(act), repr(act), *learned), function)


def _chains(stages: Sequence[Stage | None], links: Sequence[Link | None]) -> Iterator[tuple[int, int]]:
    """Yields ``(first, end)`` of each maximal chain of layers that lead on to each other."""
    first = 0
    for i, (stage, link) in enumerate(zip(stages, links, strict=True)):
        follows = i + 1 < len(stages) and stage and stages[i + 1] and link and link.leads_on
        if not follows:
            if stage:
                yield first, i + 1
            first = i + 1
