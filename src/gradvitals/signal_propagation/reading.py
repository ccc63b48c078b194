"""What the pre-flight found, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gradvitals.diagnosis.forecast import forecast
from gradvitals.diagnosis.profile import Profile

SURPRISE = 3.0  # scatters between a measured and a predicted gain


def content(found: Preflight) -> dict[str, Any]:
    """What ``preflight.json`` holds."""
    return {
        "verdict": None if found.verdict[0] == "unknown" else found.verdict[0],
        "gain_per_layer": found.profile.gain,
        "input_grad_norm": found.input_grad_norm,
        "loss_start": found.loss_start,
        "loss_expected": found.loss_expected,
        "trainable_depth": found.trainable_depth,
        "layers": [asdict(layer) for layer in found.layers],
    }


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


def _ratio(value: float | None, over: float | None) -> float | None:
    return value / over if value is not None and over else None
