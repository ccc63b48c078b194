"""The published rules of other tools, applied to one recorded run in the words of this project's verdicts.

Where a rule was published with details left open, the reading is taken that favours the tool; a comment says which.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from record import FIVE, SIGMOID, TANH, Bounds, Layer, Moment


@dataclass(frozen=True)
class Alarm:
    """A verdict in this project's words, and the step at which it was first given."""

    verdict: str
    step: int


@dataclass(frozen=True)
class Rival:
    """Another tool: its name, and what it says of a run, None where it sees nothing wrong."""

    name: str
    examine: Callable[[Sequence[Moment]], Alarm | None]


Rule = tuple[str, Callable[[Moment], bool]]  # a verdict, and whether a moment shows it


def earliest(moments: Iterable[Moment], rules: Sequence[Rule]) -> Alarm | None:
    """The first moment that shows anything; of several rules at that moment the first."""
    return next((Alarm(verdict, m.step) for m in moments for verdict, shows in rules if shows(m)), None)


def first_of(*alarms: Alarm | None) -> Alarm | None:
    """The earliest of several; of those at the same step the first named."""
    return min((alarm for alarm in alarms if alarm), key=lambda alarm: alarm.step, default=None)


def epoch_ends(history: Sequence[Moment]) -> list[Moment]:
    """The last step of each epoch, at which Keras calls ``on_epoch_end``."""
    return [moment for moment in history if moment.ends_epoch]


def non_finite(moment: Moment) -> bool:
    """Whether the loss or any gradient has a NaN or an inf."""
    return not math.isfinite(moment.loss) or any(layer.non_finite > 0 for layer in moment.layers)


def share(values: Sequence[bool]) -> float:
    """Of those that are true."""
    return sum(values) / len(values) if values else 0.0


def in_any(shows: Callable[[Layer], bool]) -> Callable[[Moment], bool]:
    """Whether any layer of a moment shows it."""
    return lambda moment: any(shows(layer) for layer in moment.layers)


def _hidden(layer: Layer, *activations: str) -> bool:
    return layer.outputs is not None and layer.activation in activations


# ---------------------------------------------------------------------------------------------- SageMaker Debugger

SMD_VANISHED = 1e-7  # mean magnitude of a gradient
SMD_INACTIVE = 0.01  # a unit at work on fewer of the samples is dead, or saturated
SMD_UNITS = 0.5  # more of a layer's units than this
SMD_VARIANCES = 10.0  # largest over smallest variance of weights, by layer
SMD_GRADIENT_RANGE = 0.001  # 5th to 95th percentile of a layer's gradient
SMD_INITIAL_STEPS = 10
SMD_UPDATES = (1e-8, 10.0)  # update over weight
SMD_BOUNDS: dict[str, Bounds] = {"tanh": TANH, "sigmoid": SIGMOID}


def _smd_dead(layer: Layer) -> bool:
    return _hidden(layer, "relu") and share([a < SMD_INACTIVE for a in layer.outputs.active]) > SMD_UNITS


def _smd_saturated(layer: Layer) -> bool:
    if not _hidden(layer, *SMD_BOUNDS):
        return False
    outside = layer.outputs.outside[SMD_BOUNDS[layer.activation]]
    return share([1 - o < SMD_INACTIVE for o in outside]) > SMD_UNITS


def _smd_poor_init(moment: Moment) -> bool:
    # The documentation speaks of the variance of activation inputs in its prose and of weights at its parameter. The
    # latter: inputs shrink in every net whose gradients vanish, which would all be called badly initialised.
    variances = [layer.weight_variance for layer in moment.layers]
    ranges = [layer.gradient_p95 - layer.gradient_p05 for layer in moment.layers]
    unequal = max(variances) > SMD_VARIANCES * min(variances)
    return moment.step < SMD_INITIAL_STEPS and unequal and min(ranges) < SMD_GRADIENT_RANGE


def sagemaker(history: Sequence[Moment]) -> Alarm | None:
    """Amazon SageMaker Debugger, built-in rules with their default parameters (Rauschmayr et al., MLSys 2021).

    ExplodingTensor: a NaN or inf. DeadRelu: more than 50 % of a layer's ReLUs active on under 1 % of the samples.
    SaturatedActivation: the same of inputs within +-9.4999 (tanh) or (-23, 16.99999) (sigmoid).
    PoorWeightInitialization: in the first 10 steps variances of layers a factor above 10 apart, and a gradient whose
    5th to 95th percentile spans under 0.001. VanishingGradient: mean magnitude under 1e-7. WeightUpdateRatio: mean
    magnitude of the update over that of the weight outside 1e-8 to 10.

    Its rules are independent jobs without an order: at the same step causes are taken before what follows from them.
    Gradients of weights alone are looked at, as a bias may have none by construction.
    """
    low, high = SMD_UPDATES
    rules: list[Rule] = [
        ("exploding", non_finite),
        ("poor_init", _smd_poor_init),
        ("dead_units", in_any(_smd_dead)),
        ("saturated", in_any(_smd_saturated)),
        ("vanishing", in_any(lambda layer: layer.gradient < SMD_VANISHED)),
        ("unstable", in_any(lambda layer: layer.update_ratio > high)),
        ("stalled", in_any(lambda layer: layer.update_ratio < low)),
    ]
    return earliest(history, rules)


# ------------------------------------------------------------------------------------------------------ AUTOTRAINER

AT_VANISHED = (1e-3, 1e-4)  # |g_first| / |g_last|, and |g_first|
AT_EXPLODED = 70.0  # |g_first| / |g_last|
AT_DEAD = 0.7  # of all gradients exactly zero
AT_SWING, AT_SWINGS = 0.03, 0.2  # of accuracy between extremes, in so many of the epochs
AT_GROWTH = 0.01  # of accuracy from epoch to epoch
AT_POOR = 0.6  # accuracy at or below it
AT_JUDGED_FROM = 0.3  # of the epochs


def gradient_ratio(moment: Moment) -> float:
    """Norm of the first layer's gradient over the last one's; NaN where that is zero."""
    first, last = moment.layers[0].gradient_norm, moment.layers[-1].gradient_norm
    return first / last if last else math.nan


def zero_share(moment: Moment) -> float:
    """Of exact zeros in the gradients of all layers."""
    zeros = sum(layer.zeros * layer.parameters for layer in moment.layers)
    return zeros / sum(layer.parameters for layer in moment.layers)


def oscillates(accuracies: Sequence[float]) -> bool:
    """Whether peaks of the accuracy stand above the valleys of the same number by a swing, often enough."""
    inner = range(1, len(accuracies) - 1)
    a = accuracies
    peaks = [a[i] for i in inner if a[i] >= max(a[i - 1], a[i + 1])]
    valleys = [a[i] for i in inner if a[i] <= min(a[i - 1], a[i + 1])]
    swings = sum(peak - valley >= AT_SWING for peak, valley in zip(peaks, valleys, strict=False))
    return swings >= AT_SWINGS * len(accuracies)


def creeps(accuracies: Sequence[float]) -> bool:
    """Whether no epoch raised the accuracy."""
    return len(accuracies) > 1 and all(now - before < AT_GROWTH for before, now in pairwise(accuracies))


def _at_vanished(moment: Moment) -> bool:
    ratio, norm = AT_VANISHED
    return gradient_ratio(moment) < ratio and moment.layers[0].gradient_norm < norm


# In the order of its monitor.
AT_RULES: list[Rule] = [
    ("dead_units", lambda moment: zero_share(moment) >= AT_DEAD),
    ("exploding", lambda moment: gradient_ratio(moment) > AT_EXPLODED),
    ("vanishing", _at_vanished),
]


def _at_symptom(epochs: Sequence[Moment]) -> str | None:
    # As in its monitor, a sign once seen is not forgotten.
    accuracies = [moment.accuracy for moment in epochs]
    signs = [(verdict, any(shows(moment) for moment in epochs)) for verdict, shows in AT_RULES]
    signs += [("unstable", oscillates(accuracies)), ("stalled", creeps(accuracies))]
    return next((verdict for verdict, seen in signs if seen), None)


def _at_poor(epochs: Sequence[Moment]) -> Alarm | None:
    for i in range(max(1, math.ceil(AT_JUDGED_FROM * len(epochs))), len(epochs) + 1):
        if max(moment.accuracy for moment in epochs[:i]) > AT_POOR:
            return None
        if verdict := _at_symptom(epochs[:i]):
            return Alarm(verdict, epochs[i - 1].step)
    return None


def autotrainer(history: Sequence[Moment]) -> Alarm | None:
    """AUTOTRAINER (Zhang et al., ICSE 2021), with the thresholds of its artifact.

    Exploding: a NaN or inf, at any epoch. Else only when 30 % of the epochs are over and the best training accuracy of
    any of them is at most 0.6, with r = |g_first| / |g_last| of the weights: dying ReLU, at least 70 % of the gradients
    exactly zero; exploding, r above 70; vanishing, r below 1e-3 and |g_first| below 1e-4; oscillating, swings of the
    accuracy of 0.03 in at least 20 % of the epochs; slow convergence, no epoch that raised it by 0.01.

    It looks every third epoch at one batch, here at each epoch's last. Its monitor tells oscillation in nets of good
    accuracy alone; here it too waits for a poor one, which spares healthy nets. Validation is not looked at.
    """
    epochs = epoch_ends(history)
    return first_of(earliest(epochs, [("exploding", non_finite)]), _at_poor(epochs))


# ---------------------------------------------------------------------------------------------------- DeepDiagnosis

DD_VANISHED = 1e-7  # mean magnitude of dW
DD_DEAD = 0.7  # of a layer's outputs at or below 0
DD_SATURATED = 0.5  # of a layer's inputs beyond +-5


def _dd_dead(layer: Layer) -> bool:
    return _hidden(layer, "relu", "exponential") and layer.outputs.not_positive >= DD_DEAD


def _dd_saturated(layer: Layer) -> bool:
    if not _hidden(layer, "tanh", "sigmoid"):
        return False
    outside = layer.outputs.outside[FIVE]
    return sum(outside) / len(outside) > DD_SATURATED


def deepdiagnosis(history: Sequence[Moment]) -> Alarm | None:
    """DeepDiagnosis (Wardat et al., ICSE 2022), at the end of each epoch.

    Numerical error: a NaN or inf. Dead node: at least 70 % of the outputs of a ReLU or exponential layer at or below 0.
    Saturated: more than 50 % of the inputs of a tanh or sigmoid layer beyond +-5. Vanishing: mean |dW| under 1e-7.

    As in its artifact, dead nodes are looked for in the last epoch alone, and the ratio of update to weight (1e-5 to
    0.1) only chooses the fix for another symptom, so it alarms nobody here. A mean gradient of exactly zero, which the
    artifact calls a numerical error, counts as vanishing.
    """
    epochs = epoch_ends(history)
    rest: list[Rule] = [
        ("saturated", in_any(_dd_saturated)),
        ("vanishing", in_any(lambda layer: layer.gradient < DD_VANISHED)),
    ]
    return first_of(
        earliest(epochs, [("non_finite", non_finite)]),
        earliest(epochs[-1:], [("dead_units", in_any(_dd_dead))]),
        earliest(epochs, rest),
    )


# --------------------------------------------------------------------------------------------------- TheDeepChecker

TDC_F = 2.70554  # critical ratio of two variances in its code, for alpha = 0.1
TDC_LOSS = 1.0  # distance of the first loss from log K, in units of log K
TDC_PEAK, TDC_UNITS = 1e-5, 0.5  # 95th percentile of |a| of a dead unit, in more of a layer's units than this
TDC_STD = (0.5, 2.0)  # of a layer's activations
TDC_GRADIENT = (1e-6, 1e6)  # mean magnitude
TDC_UPDATES = (1e-4, 1e-1)  # update over weight: 10 to the -4 and to the -1
TDC_STEPS = range(10, 200)


def same_variance(a: float, b: float) -> bool:
    """Whether the larger is at most the critical multiple of the smaller."""
    return max(a, b) <= TDC_F * min(a, b)


def _tdc_strange_init(layer: Layer) -> bool:
    known = (2 / layer.fan_in, 2 / (layer.fan_in + layer.fan_out), 1 / layer.fan_in)
    return not any(same_variance(layer.weight_variance, variance) for variance in known)


def _tdc_strange_loss(moment: Moment) -> bool:
    chance = math.log(moment.classes)
    return abs(moment.loss - chance) >= TDC_LOSS * chance


def _tdc_dead(layer: Layer) -> bool:
    rectifies = layer.outputs is not None and layer.activation not in ("tanh", "sigmoid")
    return rectifies and share([peak < TDC_PEAK for peak in layer.outputs.peak]) > TDC_UNITS


def _tdc_narrow(layer: Layer) -> bool:
    return layer.outputs is not None and TDC_F * layer.outputs.std**2 < TDC_STD[0] ** 2


def _tdc_wide(layer: Layer) -> bool:
    return layer.outputs is not None and layer.outputs.std**2 > TDC_F * TDC_STD[1] ** 2


TDC_BEFORE: list[Rule] = [("poor_init", in_any(_tdc_strange_init)), ("poor_init", _tdc_strange_loss)]
TDC_DURING: list[Rule] = [
    ("non_finite", non_finite),
    ("dead_units", in_any(_tdc_dead)),
    ("vanishing", in_any(_tdc_narrow)),
    ("exploding", in_any(_tdc_wide)),
    ("vanishing", in_any(lambda layer: layer.gradient < TDC_GRADIENT[0])),
    ("exploding", in_any(lambda layer: layer.gradient > TDC_GRADIENT[1])),
    ("unstable", in_any(lambda layer: layer.update_ratio > TDC_UPDATES[1])),
    ("stalled", in_any(lambda layer: layer.update_ratio < TDC_UPDATES[0])),
]


def thedeepchecker(history: Sequence[Moment]) -> Alarm | None:
    """TheDeepChecker (Ben Braiek and Khomh, TOSEM 2023).

    Before training: the variance of each weight against 2/fan_in, 2/(fan_in + fan_out) and 1/fan_in by its F-test, and
    the first loss less than log K away from log K. From step 10 up to 200, as long as its run goes: a NaN or inf;
    dead, more than half of a layer's units (not of tanh and sigmoid) with a 95th percentile of |a| under 1e-5;
    activations whose std lies outside 0.5 to 2 by the F-test; mean |g| outside 1e-6 to 1e6; update over weight, both
    as mean magnitudes, outside 1e-4 to 0.1.

    Its code asks each activation for its own initialisation; here any of the three will do, which spares healthy nets.
    Activations that are too narrow or too wide it calls unstable; here vanishing and exploding, of which they are the
    sign. All findings of a step are logged at once: gradients are taken before updates. Fitting one batch is a training
    of its own, and left out; its run on one batch is replaced by the training itself.
    """
    during = (moment for moment in history if moment.step in TDC_STEPS)
    return first_of(earliest(history[:1], TDC_BEFORE), earliest(during, TDC_DURING))


RIVALS = [
    Rival("SageMaker Debugger", sagemaker),
    Rival("AUTOTRAINER", autotrainer),
    Rival("DeepDiagnosis", deepdiagnosis),
    Rival("TheDeepChecker", thedeepchecker),
]
