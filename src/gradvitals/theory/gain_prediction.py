"""Predicts the gradient's gain from layer to layer of a network that is described by plain data."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from gradvitals.theory.aligned_signal import Gradient, Signal, block_step, isotropic
from gradvitals.theory.finite_width import kurtosis
from gradvitals.theory.gaussian_moments import Act, mean, second_moment, slope_moment
from gradvitals.theory.normalized import batchnorm_gain, two_slopes

NORMS = (None, "batch", "layer", "rms")


@dataclass(frozen=True)
class Stage:
    """A linear layer with its norm and activation.

    Attributes:
        act: an activation's name or a callable on float64 tensors; None for the output layer.
        sigma_w2: ``fan_in * Var W``, measured if possible.
        sigma_b2: variance of the bias.
        norm: ``batch``, ``layer``, ``rms`` or None; from a layer with another norm on, nothing is predicted.
        norm_position: ``before_linear``, ``before_act`` or ``after_act``.
        block: ``plain``, or ``residual`` for ``x + branch_scale * (this stage's output for x)``.
        branch_scale: factor of the branch; 0 in ReZero's first step.
        fan_in, fan_out: widths of the linear layer.
        shortcut_w2: ``fan_in * Var W`` of the projection that is the shortcut of a block of unequal widths.

    Example:
        >>> layer = Stage("relu", 1.0, fan_in=64, fan_out=64)  # LeCun's weights halve the squared gradient
        >>> round(predict([layer, layer, Stage(None, 1.0)], q1=1.0)[0].gain, 6)
        0.5
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
    shortcut_w2: float = 1 / 3  # torch's default initialization


@dataclass(frozen=True)
class Prediction:
    """The expected effect of a layer on the gradient.

    Attributes:
        gain: expected ``|dL/dh_l|^2 / |dL/dh_{l+1}|^2``; below 1 the gradient shrinks towards the input.
        scatter: about the standard deviation of its logarithm over random weights, for one sample; less for a batch.

    Example:
        >>> layer = Stage("sigmoid", 1.0, fan_in=100, fan_out=100)
        >>> found = predict([layer, layer], q1=1.0)[0]
        >>> round(found.gain, 4), round(found.scatter, 2)  # the gradient's norm is multiplied by the root of the gain
        (0.0448, 0.16)
    """

    gain: float
    scatter: float


@dataclass(frozen=True)
class _Passage:
    """The factors of a stage on squared gradients.

    Attributes:
        x, out: the stage's input and output.
        into: dL/dh over the gradient of the branch's output.
        through: the gradient of the input of the linear layer (or its norm) over dL/dh.
        shortcut: the gradient that bypasses the branch over that of the stage's output.
        kurtosis: of the slopes, see :func:`gradvitals.theory.finite_width.kurtosis`.
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
    """Predicts the gain of each layer, from the variance of the signal in each layer.

    Args:
        stages: the network's layers, the output layer included, input side first.
        q1: mean square of the first layer's output ``h``, about the batch's mean if BatchNorm follows directly.
        batch_size: number of samples that BatchNorm averages over; None: many.
        q0: mean square of the network's input, used if the first stage is a residual block.

    Returns:
        One entry per stage; None for the last one, and wherever theory makes no prediction.

    Example:
        >>> hidden, output = Stage("relu", 2.0, fan_in=64, fan_out=64), Stage(None, 1.0, fan_in=64, fan_out=10)
        >>> found = predict([hidden, hidden, output], q1=1.0)
        >>> [round(layer.gain, 6) for layer in found[:2]], found[2]
        ([1.0, 0.5], None)
        >>> round(found[0].scatter, 4)  # sqrt(5 / 64)
        0.2795
    """
    passages = _passages(stages, q1, batch_size, q0)
    known = list(zip(stages, passages, strict=False))  # up to the first one without a theory
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
    """Returns the ratio of squared dL/dh of each stage except the last to that of the next."""
    gains, above = list[float | None](), math.nan
    gradient = isotropic(1.0, known[-1][0].fan_out) if known else Gradient(1.0, 0.0)
    for stage, passage in reversed(known):
        delta, gradient = _back(stage, passage, gradient)
        gain = delta / above if above else math.nan
        gains.append(gain if 0 < gain < math.inf else None)
        # Everything is in units of the current gradient, so that no number overflows at any depth.
        total = gradient.total or 1.0
        above = delta / total
        gradient = Gradient(gradient.isotropic / total, gradient.aligned / total)
    return gains[:0:-1]


def _back(stage: Stage, passage: _Passage, after: Gradient) -> tuple[float, Gradient]:
    """Returns the squared dL/dh and the gradient of the stage's input, from that of its output."""
    if stage.block == "residual" and stage.norm is None and stage.fan_in == stage.fan_out:
        x, out = passage.x, passage.out
        return block_step(stage.act, stage.branch_scale, stage.sigma_w2, x, out, stage.fan_in, after)
    # Random weights do not preserve alignment, and a norm removes the component along its input.
    delta = stage.branch_scale**2 * passage.into * after.total
    return delta, isotropic(passage.shortcut * after.total + passage.through * delta, stage.fan_in)


def _scatter(here: tuple[Stage, _Passage], there: tuple[Stage, _Passage]) -> float:
    """Returns the standard deviation of the log ratio between two neighboring stages.

    It comes from products of squared slopes and squared normals in this stage; in the next one, as far as the gradient
    bypassed it; and from the sum of branch and shortcut, whose cross term is normal, too.
    """
    (stage, passage), (after, then) = here, there
    bypassed = then.shortcut / (then.shortcut + after.branch_scale**2 * then.into * then.through)
    slopes = 3 * (passage.kurtosis - 1) / stage.fan_out + 3 * bypassed**2 * (then.kurtosis - 1) / after.fan_out
    weights = (4 * bypassed * (1 - bypassed) + 2 * (1 - bypassed) ** 2) / after.fan_in
    return math.sqrt(slopes + weights)


def _pre_activation(stage: Stage, x: Signal) -> float:
    """Returns the variance of ``h``; before BatchNorm it is over the batch and includes neither mean nor bias."""
    if stage.norm and stage.norm_position == "before_linear":
        return stage.sigma_w2 + stage.sigma_b2
    if stage.norm == "batch" and stage.norm_position == "before_act":
        return stage.sigma_w2 * x.variance
    return stage.sigma_w2 * x.square + stage.sigma_b2


def _pass(stage: Stage, x: Signal, h: float, batch_size: int | None) -> _Passage:
    position = stage.norm_position if stage.norm else None
    q = 1.0 if position == "before_act" else h
    out = Signal(second_moment(stage.act, q), mean(stage.act, q))
    into, through = slope_moment(stage.act, q), stage.sigma_w2
    if position == "before_act":
        into /= h
    elif position == "after_act":
        into /= _norm_divisor(stage, out)
        out = Signal(1.0, out.mean / math.sqrt(out.square) if stage.norm == "rms" else 0.0)
    elif position == "before_linear":
        through /= _norm_divisor(stage, x)
    if stage.norm == "batch":
        into *= _small_batch_factor(stage.act, batch_size)
    shortcut, out = _bypass(stage, x, out)
    return _Passage(x, out, into, through, shortcut, kurtosis(stage.act, q))


def _norm_divisor(stage: Stage, x: Signal) -> float:
    return x.square if stage.norm == "rms" else x.variance


def _bypass(stage: Stage, x: Signal, out: Signal) -> tuple[float, Signal]:
    """Returns the share of the squared gradient that passes the shortcut, and the stage's output."""
    if stage.block == "plain":
        return 0.0, out
    scale = stage.branch_scale
    if stage.fan_in == stage.fan_out:
        kept, kept_share = x, 1.0
    else:  # the mean of mixed features is 0
        kept, kept_share = Signal(stage.shortcut_w2 * x.square, 0.0), stage.shortcut_w2
    square = kept.square + scale**2 * out.square + 2 * scale * kept.mean * out.mean
    return kept_share, Signal(square, kept.mean + scale * out.mean)


def _small_batch_factor(act: Act | None, batch_size: int | None) -> float:
    """Returns how much faster the gradient grows in a small batch; smooth activations are treated as linear."""
    if batch_size is None or batch_size < 4:
        return 1.0
    known = act if two_slopes(act) else None
    return batchnorm_gain(known or "identity", batch_size) / batchnorm_gain(known or "identity")
