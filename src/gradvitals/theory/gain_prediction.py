"""The gradient's expected gain from layer to layer of a given network, described by plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gradvitals.theory.aligned_signal import Gradient, Signal, block_step, even
from gradvitals.theory.finite_width import kurtosis
from gradvitals.theory.gaussian_moments import Act, mean, second_moment, slope_moment
from gradvitals.theory.normalised import batchnorm_gain, two_slopes

NORMS = (None, "batch", "layer", "rms")


@dataclass(frozen=True)
class Stage:
    """One linear layer and what follows it up to the next.

    Attributes:
        act: a name of the table or a callable on float64 tensors; None: none, as behind the output layer.
        sigma_w2: ``fan_in * Var W``, best measured.
        sigma_b2: variance of the bias.
        norm: ``batch``, ``layer``, ``rms`` or None; nothing is predicted from a layer with any other on.
        norm_position: ``before_linear``, ``before_act`` or ``after_act``.
        block: ``plain``, or ``residual`` for ``x + branch_scale * (this stage's output for x)``.
        branch_scale: 0 in ReZero's first step.
        fan_in, fan_out: the linear's widths.
        shortcut_w2: ``fan_in * Var W`` of the projection that a residual block of unequal widths has for a shortcut.
    """

    act: Act | None
    sigma_w2: float
    sigma_b2: float = 0.0
    norm: str | None = None
    norm_position: str = "before_act"
    block: str = "plain"
    branch_scale: float = 1.0
    fan_in: int = 1
    fan_out: int = 1
    shortcut_w2: float = 1 / 3  # torch's default initialisation


@dataclass(frozen=True)
class Prediction:
    """What one layer is expected to do to the gradient.

    Attributes:
        gain: expected ``|dL/dh_l|^2 / |dL/dh_{l+1}|^2``; below 1 it shrinks towards the input.
        scatter: about the sd of that ratio's logarithm over draws of the weights, for one sample; less for a batch.
    """

    gain: float
    scatter: float


@dataclass(frozen=True)
class _Passage:
    """What one stage does to squared gradients.

    Attributes:
        x, out: its input and its output.
        into: dL/dh over the gradient of the branch's output.
        through: the gradient of the linear's (or its norm's) input over dL/dh.
        shortcut: the gradient that bypasses the branch over that of the stage's output.
        kurtosis: of the slopes.
    """

    x: Signal
    out: Signal
    into: float
    through: float
    shortcut: float
    kurtosis: float


def predict(
    stages: Sequence[Stage], q1: float, batch_size: int | None = None, q0: float = 1.0
) -> list[Prediction | None]:
    """The expected gain of each layer, along the variances that the signal runs through.

    Args:
        stages: the network's layers, the output layer included, input side first.
        q1: mean square of the first layer's output ``h`` (over the batch, less its mean, where BatchNorm follows).
        batch_size: samples that BatchNorm sees; None: many.
        q0: mean square of the network's input; matters where the first stage is a residual block.

    Returns:
        One entry per stage; None for the last, and wherever theory has no number.

    Example:
        >>> hidden, output = Stage("relu", 2.0, fan_in=64, fan_out=64), Stage(None, 1.0, fan_in=64, fan_out=10)
        >>> found = predict([hidden, hidden, output], q1=1.0)
        >>> [round(layer.gain, 6) for layer in found[:2]], found[2]
        ([1.0, 0.5], None)
        >>> round(found[0].scatter, 4)  # sqrt(5 / 64)
        0.2795
    """
    passages = _passages(stages, q1, batch_size, q0)
    known = list(zip(stages, passages, strict=False))  # up to the first of which theory knows nothing
    pairs = zip(_gains(known), pairwise(known), strict=True)
    found = [Prediction(gain, _scatter(*pair)) if gain else None for gain, pair in pairs]
    return [*found, *[None] * (len(stages) - len(found))]


def _passages(stages: Sequence[Stage], q1: float, batch_size: int | None, q0: float) -> list[_Passage]:
    x, found = Signal(q0, 0.0), list[_Passage]()
    for stage in stages:
        h = _pre_activation(stage, x) if found else q1
        if stage.norm not in NORMS or not 0 < h < math.inf:
            break
        found.append(_pass(stage, x, h, batch_size))
        x = found[-1].out
    return found


def _gains(known: Sequence[tuple[Stage, _Passage]]) -> list[float | None]:
    """Ratios of the squared dL/dh of each stage but the last to that of the next, from the output back."""
    gains, above = list[float | None](), math.nan
    gradient = even(1.0, known[-1][0].fan_out) if known else Gradient(1.0, 0.0)
    for stage, passage in reversed(known):
        delta, gradient = _back(stage, passage, gradient)
        gain = delta / above if above else math.nan
        gains.append(gain if 0 < gain < math.inf else None)
        # All in units of the gradient that is left, which thus stays in range at any depth.
        total = gradient.total or 1.0
        above = delta / total
        gradient = Gradient(gradient.spread / total, gradient.aligned / total)
    return gains[:0:-1]


def _back(stage: Stage, passage: _Passage, after: Gradient) -> tuple[float, Gradient]:
    """The squared dL/dh, and the gradient of the stage's input, from that of its output."""
    if stage.block == "residual" and stage.norm is None and stage.fan_in == stage.fan_out:
        x, out = passage.x, passage.out
        return block_step(stage.act, stage.branch_scale, stage.sigma_w2, x, out, stage.fan_in, after)
    # New weights leave nothing aligned, and a norm takes out what is along its input.
    delta = stage.branch_scale**2 * passage.into * after.total
    return delta, even(passage.shortcut * after.total + passage.through * delta, stage.fan_in)


def _scatter(here: tuple[Stage, _Passage], there: tuple[Stage, _Passage]) -> float:
    """Sd of the ratio's logarithm between two neighbouring stages.

    Squared slopes times squared normals, here and, as far as the gradient bypassed that layer, there; then the sum of
    branch and shortcut, whose product is a normal too.
    """
    (stage, passage), (after, then) = here, there
    bypassed = then.shortcut / (then.shortcut + after.branch_scale**2 * then.into * then.through)
    slopes = 3 * (passage.kurtosis - 1) / stage.fan_out + 3 * bypassed**2 * (then.kurtosis - 1) / after.fan_out
    weights = (4 * bypassed * (1 - bypassed) + 2 * (1 - bypassed) ** 2) / after.fan_in
    return math.sqrt(slopes + weights)


def _pre_activation(stage: Stage, x: Signal) -> float:
    """Variance of ``h``; in front of BatchNorm that over the batch, in which neither mean nor bias counts."""
    if stage.norm and stage.norm_position == "before_linear":
        return stage.sigma_w2 + stage.sigma_b2
    if stage.norm == "batch" and stage.norm_position == "before_act":
        return stage.sigma_w2 * x.variance
    return stage.sigma_w2 * x.square + stage.sigma_b2


def _pass(stage: Stage, x: Signal, h: float, batch_size: int | None) -> _Passage:
    """One stage, from the variance of its ``h`` on."""
    position = stage.norm_position if stage.norm else None
    q = 1.0 if position == "before_act" else h
    out = Signal(second_moment(stage.act, q), mean(stage.act, q))
    into, through = slope_moment(stage.act, q), stage.sigma_w2
    if position == "before_act":
        into /= h
    elif position == "after_act":
        into /= _spread(stage, out)
        out = Signal(1.0, out.mean / math.sqrt(out.square) if stage.norm == "rms" else 0.0)
    elif position == "before_linear":
        through /= _spread(stage, x)
    if stage.norm == "batch":
        into *= _small_batch(stage.act, batch_size)
    shortcut, out = _bypass(stage, x, out)
    return _Passage(x, out, into, through, shortcut, kurtosis(stage.act, q))


def _spread(stage: Stage, x: Signal) -> float:
    """What a norm divides the squared signal by."""
    return x.square if stage.norm == "rms" else x.variance


def _bypass(stage: Stage, x: Signal, out: Signal) -> tuple[float, Signal]:
    """Share of the squared gradient that the shortcut passes on, and the stage's output."""
    if stage.block == "plain":
        return 0.0, out
    scale = stage.branch_scale
    if stage.fan_in == stage.fan_out:
        kept, kept_share = x, 1.0
    else:  # a projection mixes features: no mean is left
        kept, kept_share = Signal(stage.shortcut_w2 * x.square, 0.0), stage.shortcut_w2
    square = kept.square + scale**2 * out.square + 2 * scale * kept.mean * out.mean
    return kept_share, Signal(square, kept.mean + scale * out.mean)


def _small_batch(act: Act | None, batch_size: int | None) -> float:
    """How much faster the gradient grows in a small batch; bent activations come near to a linear net."""
    if batch_size is None or batch_size < 4:
        return 1.0
    known = act if two_slopes(act) else None
    return batchnorm_gain(known or "identity", batch_size) / batchnorm_gain(known or "identity")
