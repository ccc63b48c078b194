"""What theory expects of the gradient through time, from the weights and inputs of recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress

import torch
from torch import Tensor, nn

from gradvitals.signal_propagation.reading import TimeReading
from gradvitals.theory.recurrence import Gate, gru_factor, lstm_factor, rnn_factor
from gradvitals.vitals import Layer

OUT_OF_RANGE = (ArithmeticError, ValueError)  # which theory raises for weights so large that floats overflow
MAX_STANDARD_ERRORS = 5  # of the mean of random weights, and of their diagonal, from 0


def predicted_factors(layers: Sequence[Layer], inputs: Mapping[nn.Module, Tensor]) -> dict[str, float]:
    """Returns name of a recurrent layer -> factor per time step on the norm of dL/dx.

    Layers that theory does not know are left out: several layers or directions in one module, projections, and
    recurrent weights that are not random, such as the identity's.

    Args:
        inputs: some inputs of each, ``(rows, features)``.
    """
    found = {
        layer.name: _factor(module, inputs[module])
        for layer in layers
        if isinstance(module := layer.module, nn.RNNBase) and module in inputs and _is_known(module)
    }
    return {name: factor for name, factor in found.items() if factor is not None}


def time_readings(norms: Mapping[str, Sequence[float]], predicted: Mapping[str, float]) -> list[TimeReading]:
    """Returns what was measured of each recurrent layer beside what theory predicts.

    Args:
        norms: name of a layer -> norms of dL/dx by time step.

    Example:
        >>> reading, = time_readings({"rnn": [0.25**step for step in (4, 3, 2, 1, 0)]}, {"rnn": 0.26})
        >>> reading.factor_measured, reading.factor_predicted
        (0.25, 0.26)
    """
    return [TimeReading(name, list(found), _measured(found), predicted.get(name)) for name, found in norms.items()]


def _measured(norms: Sequence[float]) -> float | None:
    early, late = len(norms) // 4, 3 * len(norms) // 4
    if late <= early or not 0 < norms[late] < math.inf or not 0 < norms[early] < math.inf:
        return None
    return (norms[early] / norms[late]) ** (1 / (late - early))


def _is_known(module: nn.RNNBase) -> bool:
    single = module.num_layers == 1 and not module.bidirectional and not module.proj_size
    return single and all(map(_is_random, _weights(module, "weight_hh_l0").chunk(_gates(module))))


@torch.no_grad()
def _factor(module: nn.RNNBase, inputs: Tensor) -> float | None:
    gates = _gates_of(module, inputs)
    with suppress(*OUT_OF_RANGE):
        if isinstance(module, nn.LSTM):
            return lstm_factor(*gates)
        if isinstance(module, nn.GRU):
            r, z, n = gates
            inside = _weights(module, "bias_hh_l0").chunk(3)[2].square().mean().item() if module.bias else 0.0
            return gru_factor(r, z, n, inside)
        return rnn_factor(str(module.nonlinearity), gates[0])
    return None


def _weights(module: nn.RNNBase, name: str) -> Tensor:
    return getattr(module, name).detach().double()


def _gates(module: nn.RNNBase) -> int:
    return len(module.weight_hh_l0) // module.hidden_size  # type: ignore[arg-type]


def _gates_of(module: nn.RNNBase, inputs: Tensor) -> list[Gate]:
    number, width = _gates(module), module.hidden_size
    drives = inputs.double() @ _weights(module, "weight_ih_l0").T
    if module.bias:
        recurrent = _weights(module, "bias_hh_l0").clone()
        if isinstance(module, nn.GRU):
            recurrent[2 * width :] = 0.0  # the reset gate multiplies it
        drives = drives + _weights(module, "bias_ih_l0") + recurrent
    weights = _weights(module, "weight_hh_l0").chunk(number)
    return [
        Gate(width * weight.var(unbiased=False).item(), drive.var(unbiased=False).item(), drive.mean().item())
        for weight, drive in zip(weights, drives.chunk(number, dim=1), strict=True)
    ]


def _is_random(weight: Tensor) -> bool:
    """Whether neither all entries nor those of the diagonal have a mean that random ones would not have."""
    std, n = weight.std(unbiased=False).item(), len(weight)
    mean, diagonal = weight.mean().item(), weight.diagonal().mean().item()
    bound = MAX_STANDARD_ERRORS * std
    return abs(mean) * n <= bound and abs(diagonal) * math.sqrt(n) <= bound < math.inf
