"""One batch forward and backward before any training: how the gradient will travel, and how theory says it should.

The file is not called like its function, or ``gradvitals.preflight`` would be now the one and now the other.
"""

from __future__ import annotations

import inspect
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradvitals.diagnosis.forecast import forecast
from gradvitals.diagnosis.profile import Profile, profile
from gradvitals.theory import Prediction, Stage, correlation_depth, elementwise, fixed_point, predict
from gradvitals.vitals import (
    ActivationGradients,
    ActivationStatistics,
    Chain,
    DeadUnits,
    ForwardOrder,
    InputGradient,
    Layer,
    LayerInputs,
    Link,
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
from gradvitals.vitals.hooks import buffers_kept
from gradvitals.vitals.layers import outputs_of
from gradvitals.vitals.samples import faults, inputs_and_labels

Loss = Callable[[Tensor, Tensor], Tensor]
OptimizerFactory = Callable[[Iterable[nn.Parameter]], Optimizer]

CRITICAL = 1e-3  # of the logarithm of a rate per layer, within which it is 1
SETTLED = 0.05  # how near to the fixed point's the rate of late layers must be, beside its scatter; logarithm
DRAWN = 5  # standard errors that the mean of weights drawn around 0 is away from it at most
BEYOND = (ArithmeticError, ValueError)  # what theory raises of weights so large that its numbers do not fit a float
SURPRISE = 3.0  # scatters between a measured and a predicted gain


@dataclass(frozen=True)
class LayerReading:
    """One layer at the start. Of activations what this batch showed, where an activation follows the layer.

    Attributes:
        name, index, kind: see :class:`gradvitals.vitals.Layer`.
        activation_mean, activation_std: of what the activation returns, over samples and units.
        dead_fraction: share of units that returned 0 for each sample of this batch, which is few for a verdict.
        saturated_fraction: share of outputs where the slope is below 5 % of its largest; None: it does not saturate.
        activation_grad_norm: L2 over batch and features of dL/dh; None where backward did not pass.
        gain_measured: this layer's ``activation_grad_norm`` over the next one's; None at the last.
        gain_predicted: what mean-field theory expects of it; None where it has no number for what lies between.
        gain_scatter: one standard deviation of ``gain_measured`` is a factor ``exp(gain_scatter)`` (one sample's; the
            batch's is smaller as far as samples differ).
        grad_norm: L2 of dL/dW, all weights of the layer together; None where none has a gradient.
        grad_norm_corrected: that over the rms, over samples, of the L2 norm of the layer's input.
        update_ratio: L2 of the optimizer's first step, without clipping, over L2 of the weights; None without one.
    """

    name: str
    index: int
    kind: str
    activation_mean: float | None
    activation_std: float | None
    dead_fraction: float | None
    saturated_fraction: float | None
    activation_grad_norm: float | None
    gain_measured: float | None
    gain_predicted: float | None
    gain_scatter: float | None
    grad_norm: float | None
    grad_norm_corrected: float | None
    update_ratio: float | None

    @property
    def surprise(self) -> float:
        """How many scatters the measured gain is away from the predicted one; 0 where either is missing."""
        if not self.gain_measured or not self.gain_predicted or not self.gain_scatter:
            return 0.0
        return abs(math.log(self.gain_measured / self.gain_predicted)) / self.gain_scatter


@dataclass(frozen=True)
class Preflight:
    """What one batch showed.

    Attributes:
        layers: by depth.
        input_grad_norm: L2 over batch and features of dL/dx; None where the input is no floating-point tensor.
        loss_start: the loss of this batch.
        loss_expected: that of a network that knows nothing yet, see :func:`expected_loss`.
        trainable_depth: about how many hidden layers such a net can have and still be trained. Plain nets: 6
            correlation lengths at the mean size of the hidden layers' weights and biases, but for the first one's
            (Schoenholz et al., 2017).
            With norms: 16 lengths over which the squared gradient changes e-fold, as Yang et al. (2019) say of
            BatchNorm. None at criticality, where the rate is 1 as far as weights that were drawn can tell; in a plain
            net that does not come near its fixed point, for which that length is computed; and for all but chains of
            linear layers with the same activation and norm.
        profile: the shape of the activation gradients.
        faults: of the batch itself, in words.
        symmetric: names of layers whose units are copies of each other.
    """

    layers: list[LayerReading]
    input_grad_norm: float | None
    loss_start: float
    loss_expected: float | None
    trainable_depth: float | None
    profile: Profile
    faults: Sequence[str] = ()
    symmetric: Sequence[str] = ()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Preflight:
        """From plain values, as :func:`dataclasses.asdict` makes them."""
        layers = [LayerReading(**reading) for reading in state["layers"]]
        return cls(**{**state, "layers": layers, "profile": Profile(**state["profile"])})

    @property
    def verdict(self) -> tuple[str, str]:
        """In a word, and the evidence; see :func:`gradvitals.diagnosis.forecast.forecast`."""
        silent = (r.name for r in self.layers if r.activation_std == 0 == r.activation_mean)
        saturated = [(r.name, r.saturated_fraction) for r in self.layers if r.saturated_fraction is not None]
        most = max(saturated, key=lambda pair: pair[1], default=None)
        return forecast(self.profile, self.faults, self.symmetric, next(silent, None), most)

    @property
    def surprise(self) -> LayerReading | None:
        """The layer whose gain is farthest from the prediction, if that is more than 3 scatters."""
        far = [layer for layer in self.layers if SURPRISE < layer.surprise < math.inf]
        return max(far, key=lambda layer: layer.surprise, default=None)


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


def faults_of(batch: Any, layers: Sequence[Layer]) -> list[str]:
    """What no network can learn from, as far as one batch shows; see :func:`gradvitals.vitals.samples.faults`."""
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


def _ratio(value: float | None, over: float | None) -> float | None:
    return value / over if value is not None and over else None


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
