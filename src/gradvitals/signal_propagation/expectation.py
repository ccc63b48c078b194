"""What theory expects of a network's layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from gradvitals.diagnosis.profile import profile
from gradvitals.signal_propagation.reading import LayerReading, Preflight, _ratio
from gradvitals.theory import Prediction, Stage, correlation_depth, elementwise, fixed_point, predict
from gradvitals.vitals import Layer, Link

CRITICAL = 1e-3  # of the logarithm of a rate per layer, within which it is 1
SETTLED = 0.05  # how near to the fixed point's the rate of late layers must be, beside its scatter; logarithm
DRAWN = 5  # standard errors that the mean of weights drawn around 0 is away from it at most
BEYOND = (ArithmeticError, ValueError)  # what theory raises of weights so large that its numbers do not fit a float


@dataclass(frozen=True)
class Theory:
    """What theory expects of weights as they were drawn.

    Attributes:
        stages, links: of each layer, None for what is not understood.
        predictions: of each layer's gain, None where there is none.
    """

    stages: Sequence[Stage | None]
    links: Sequence[Link | None]
    predictions: Sequence[Prediction | None]

    @classmethod
    def of(cls, layers: Sequence[Layer], links: Sequence[Link | None], samples: int | None) -> Theory:
        """Read the weights.

        Args:
            layers, links: of the network, see :class:`gradvitals.vitals.Chain`.
            samples: in the batch.
        """
        stages = _stages(layers, links)
        return cls(stages, links, _predictions(stages, links, samples))


def assemble(
    layers: Sequence[Layer],
    theory: Theory,
    measured: Sequence[dict[str, float | None]],
    input_grad_norm: float | None,
    loss_start: float,
    loss_expected: float | None,
    faults: Sequence[str] = (),
    symmetric: Sequence[str] = (),
) -> Preflight:
    """Put what was measured beside what theory expects.

    Args:
        layers: of the network.
        theory: of its weights before the first step.
        measured: per layer, by the names of :class:`LayerReading`; no gains.
        input_grad_norm, loss_start, loss_expected, faults, symmetric: see :class:`Preflight`.
    """
    gradients = [reading["activation_grad_norm"] for reading in measured]
    gains = [_ratio(*pair) for pair in pairwise(gradients)] + [None] * bool(layers)
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
    deepest = None
    with suppress(*BEYOND):
        deepest = _trainable_depth(theory, gains)
    shape = profile(gradients)
    return Preflight(readings, input_grad_norm, loss_start, loss_expected, deepest, shape, faults, symmetric)


def _predictions(
    stages: Sequence[Stage | None], links: Sequence[Link | None], batch_size: int | None
) -> list[Prediction | None]:
    """What theory expects of each layer, piece by piece where parts of the network are not understood."""
    found: list[Prediction | None] = [None] * len(stages)
    for first, end in _pieces(stages, links):
        start, piece = links[first], stages[first:end]
        with suppress(*BEYOND):
            found[first:end] = predict(piece, start.output_square, batch_size, start.input_square)  # type: ignore[union-attr, arg-type]
    return found


def _trainable_depth(theory: Theory, measured: Sequence[float | None]) -> float | None:
    """See :class:`Preflight`."""
    stages, links, predicted = theory.stages, theory.links, theory.predictions
    hidden = [stage for stage in stages[:-1] if stage]
    between = slice(1, len(hidden) - 1)  # hidden layers; the first one's rate depends on the data
    rates, found = [p for p in predicted[between] if p], [gain for gain in measured[between] if gain]
    whole = len(hidden) == len(stages) - 1 and all(link and link.leads_on for link in links[:-1])
    alike = len({(id(stage.act), stage.norm, stage.norm_position, stage.block) for stage in hidden}) == 1
    if not whole or not alike or hidden[0].block != "plain" or not rates or len(rates) != len(found):
        return None
    # The variance of n drawn weights is known within sqrt(2 / n) of itself; one half's over the other's, sqrt(8 / n).
    drawn = sum(stage.fan_in * stage.fan_out for stage in hidden[1:])
    error = max(CRITICAL, 3 * math.sqrt(8 / drawn))
    if hidden[0].norm:
        lengths, rate = 16, abs(_mean([math.log(p.gain) for p in rates]))
    else:
        late = slice(len(found) // 2, None)
        lengths, rate = 6, _plain_rate(hidden[1:], found[late], rates[-1].scatter)
    return lengths / rate if rate > error else None


def _plain_rate(hidden: Sequence[Stage], measured: Sequence[float], scatter: float) -> float:
    """One over the correlation length; 0 where the gains of late layers are not those of the fixed point.

    GELU under He's initialisation is on its way to one for dozens of layers.
    """
    weights, biases = (_mean([getattr(stage, name) for stage in hidden]) for name in ("sigma_w2", "sigma_b2"))
    act: Any = hidden[0].act
    settled = fixed_point(act, weights, biases)[1]
    off = abs(_mean([2 * math.log(gain) for gain in measured]) - math.log(settled)) if settled else math.inf
    if not off <= SETTLED + 2 * scatter / math.sqrt(len(measured)):
        return 0.0
    xi = correlation_depth(act, weights, biases)[0]
    return 1 / xi if xi else math.inf


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _stages(layers: Sequence[Layer], links: Sequence[Link | None]) -> list[Stage | None]:
    """What theory is told of each layer; the same activation everywhere is the same object."""
    acts: dict[tuple, Callable[[Tensor], Tensor]] = {}
    return [_stage(layer, link, acts) if link else None for layer, link in zip(layers, links, strict=True)]


def _stage(layer: Layer, link: Link, acts: dict[tuple, Callable[[Tensor], Tensor]]) -> Stage | None:
    """None where the weights are no draw around 0, or the activation is no function of one number."""
    act = _function(link.act, acts) if link.act else None
    if link.act and act is None:
        return None
    weight = layer.weights[0].detach().double()
    fan_out, fan_in = weight.shape
    variance, mean = weight.var(unbiased=False).item(), weight.mean().item()
    if not abs(mean) <= DRAWN * math.sqrt(variance / weight.numel()) < math.inf:
        return None  # a common part of all weights adds up over the units
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


def _function(act: nn.Module, known: dict[tuple, Callable[[Tensor], Tensor]]) -> Callable[[Tensor], Tensor] | None:
    """The activation on float64, out of the known ones if one of them computes the same."""
    function = elementwise(act)
    if function is None:
        return None
    learnt = [(name, *p.detach().flatten().tolist()) for name, p in act.named_parameters()]
    return known.setdefault((type(act), repr(act), *learnt), function)


def _pieces(stages: Sequence[Stage | None], links: Sequence[Link | None]) -> Iterator[tuple[int, int]]:
    """``(first, end)`` of each longest run of layers that lead on to each other."""
    first = 0
    for i, (stage, link) in enumerate(zip(stages, links, strict=True)):
        follows = i + 1 < len(stages) and stage and stages[i + 1] and link and link.leads_on
        if not follows:
            if stage:
                yield first, i + 1
            first = i + 1
