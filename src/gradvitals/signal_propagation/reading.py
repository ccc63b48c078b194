"""The results of a preflight, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradvitals.diagnosis.profile import Profile
from gradvitals.diagnosis.thresholds import Thresholds

SURPRISE = 3.0  # scatters between a measured and a predicted gain


def content(found: Preflight) -> dict[str, Any]:
    """Returns the content of ``preflight.json``."""
    return {
        "verdict": None if found.verdict[0] == "unknown" else found.verdict[0],
        "gain_per_layer": found.profile.gain,
        "input_grad_norm": found.input_grad_norm,
        "loss_start": found.loss_start,
        "loss_expected": found.loss_expected,
        "trainable_depth": found.trainable_depth,
        "layers": [asdict(layer) for layer in found.layers],
        "through_time": [asdict(reading) for reading in found.through_time],
    }


@dataclass(frozen=True)
class LayerReading:
    """A layer at initialization.

    Attributes:
        name, index, kind: see :class:`gradvitals.vitals.Layer`.
        activation_mean, activation_std: of the outputs of the activation that follows, over samples and units.
        dead_fraction: share of units that returned 0 for each sample of the batch, which is too small for a verdict.
        saturated_fraction: share of outputs where the slope is below 5 % of its maximum; None if the activation does
            not saturate.
        activation_grad_norm: L2 norm of dL/dh over batch and features; None if backward did not reach the layer.
        gain_measured: this layer's ``activation_grad_norm`` over that of the next one; None at the last.
        gain_predicted: its prediction by mean-field theory; None if there is none.
        gain_scatter: one standard deviation of ``gain_measured`` is a factor ``exp(gain_scatter)``, for one sample; for
            a batch it is smaller.
        grad_norm: L2 norm of dL/dW, all weights of the layer together; None if none has a gradient.
        grad_norm_corrected: ``grad_norm`` over the rms, over samples, of the L2 norm of the layer's input.
        update_ratio: L2 norm of the optimizer's first step, without clipping, over that of the weights.

    Example:
        >>> read = dict.fromkeys(LayerReading.__annotations__)  # nothing was measured
        >>> gains = {"gain_measured": 0.5, "gain_predicted": 1.0, "gain_scatter": 0.1}
        >>> round(LayerReading(**read | gains).surprise, 2)
        6.93
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
        """The difference of measured and predicted gain, in scatters; 0 if one of them is missing."""
        if not self.gain_measured or not self.gain_predicted or not self.gain_scatter:
            return 0.0
        return abs(math.log(self.gain_measured / self.gain_predicted)) / self.gain_scatter


@dataclass(frozen=True)
class TimeReading:
    """A recurrent layer at initialization.

    Attributes:
        layer: its dotted name.
        norms: L2 norm of dL/dx over batch and features at each time step, the first one first.
        factor_measured: geometric mean of the factors from a time step to the one before, over the middle half of the
            steps, away from the loss and from the first state; steps whose norm is too small for a float, or
            infinite, do not count. None where too few are left.
        factor_predicted: its prediction by mean-field theory; None if there is none. It is of the layer alone, for a
            gradient that comes from the last step: a loss that reads each step, or a layer above that remembers
            longer, makes the measured one larger.
        factor_scatter: one standard deviation of ``factor_measured`` is about a factor ``exp(factor_scatter)``, for one
            sample; for a batch it is smaller. None for gated cells.

    Example:
        >>> TimeReading("lstm", norms=[0.25, 0.5, 1.0], factor_measured=0.5).factor_predicted is None
        True
    """

    layer: str
    norms: Sequence[float]
    factor_measured: float | None = None
    factor_predicted: float | None = None
    factor_scatter: float | None = None

    @property
    def memory(self) -> float | None:
        """The number of time steps after which a hundredth of the gradient is left, as predicted, or else measured.

        Example:
            >>> TimeReading("rnn", [], factor_predicted=0.1).memory
            2.0
        """
        from gradvitals.theory.recurrence import memory_length  # needs torch, which a reading does not

        factor = self.factor_predicted or self.factor_measured
        return None if factor is None else memory_length(factor)


@dataclass(frozen=True)
class Preflight:
    """The results of one batch.

    Attributes:
        layers: readings by depth.
        input_grad_norm: L2 norm of dL/dx over batch and features; None if the input is no floating-point tensor.
        loss_start: the loss of the batch.
        loss_expected: the loss of a network that knows nothing: that of zero outputs, or for a distance that of the
            best constant output.
        profile: how dL/dh changes from layer to layer.
        trainable_depth: about the largest number of hidden layers that can be trained. For plain nets, it is 6
            correlation lengths at the mean variance of weights and biases of the hidden layers except the first
            (Schoenholz et al., 2017). With norms, it is 16 lengths over which the squared gradient changes e-fold, as
            Yang et al. (2019) found for BatchNorm. None at criticality, within the accuracy of random weights; for
            plain nets that do not come near the fixed point to which the length applies; and for everything but chains
            of linear layers with the same activation and norm.
        faults: sentences about faults of the batch.
        symmetric: names of layers whose units have identical weights.
        through_time: readings of the recurrent layers.

    Example:
        >>> Preflight([], None, 2.5, 2.3, None, Profile("unknown")).loss_start
        2.5
    """

    layers: list[LayerReading]
    input_grad_norm: float | None
    loss_start: float
    loss_expected: float | None
    trainable_depth: float | None
    profile: Profile
    faults: Sequence[str] = ()
    symmetric: Sequence[str] = ()
    through_time: Sequence[TimeReading] = ()

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Preflight:
        """Builds it from the plain values of ``preflight.json``, which are its ``state``."""
        layers = [LayerReading(**reading) for reading in state["layers"]]
        through_time = [TimeReading(**reading) for reading in state.get("through_time", ())]
        shape = Profile(**state["profile"])
        return cls(**{**state, "layers": layers, "profile": shape, "through_time": through_time})

    @property
    def verdict(self) -> tuple[str, str]:
        """The verdict and its evidence.

        Whether the net learns is unknown before training, so ``vanishing`` and ``exploding`` refer to the profile: Adam
        trains some of these nets.
        """
        if self.faults:
            return "bad_data", "; ".join(self.faults)
        if self.symmetric:
            return "poor_init", f"all units of {self.symmetric[0]} have identical weights"
        if silent := [r.name for r in self.layers if r.activation_std == 0 == r.activation_mean]:
            return "dead_units", f"all outputs of {silent[0]} are zero"
        most = max(self.layers, key=lambda reading: reading.saturated_fraction or 0.0, default=None)
        share = most.saturated_fraction or 0.0 if most else 0.0
        if most and share >= Thresholds().saturated and self.profile.label == "healthy":
            return "saturated", f"{share:.0%} of the outputs of {most.name} are saturated: the slope there is nearly 0"
        return self.profile.label, self.profile.evidence

    @property
    def surprise(self) -> LayerReading | None:
        """The layer whose gain differs most from the prediction, if by more than 3 scatters."""
        far = [layer for layer in self.layers if SURPRISE < layer.surprise < math.inf]
        return max(far, key=lambda layer: layer.surprise, default=None)


def ratio(value: float | None, over: float | None) -> float | None:
    """Divides two numbers; None if one is missing or the divisor is 0."""
    return value / over if value is not None and over else None
