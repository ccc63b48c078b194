"""What theory expects of the gradient through time, from the weights and inputs of recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradvitals.signal_propagation.reading import TimeReading
from gradvitals.theory import fixed_point, log_scatter
from gradvitals.theory.recurrence import Gate, gru_factor, lstm_factor, rnn_factor, settled
from gradvitals.theory.shared_matrix import shared_matrix_factor
from gradvitals.vitals import Layer, RecurrentInputs

OUT_OF_RANGE = (ArithmeticError, ValueError)  # which theory raises for weights so large that floats overflow
MAX_STANDARD_ERRORS = 5  # of the mean of random weights, and of their diagonal, from 0
WIDE = 256  # units from which a plain cell is taken as infinitely wide: following each would take a second
TINY = 1e-36  # norms below consist of float32 numbers that have lost digits, or all


@dataclass(frozen=True)
class TimePrediction:
    """What theory expects of a recurrent layer: see :class:`gradvitals.signal_propagation.reading.TimeReading`."""

    factor: float
    scatter: float | None = None


def predicted_factors(layers: Sequence[Layer], seen: RecurrentInputs) -> dict[str, TimePrediction]:
    """Returns name of a recurrent layer -> factor per time step on the norm of dL/dx.

    Layers that theory does not know are left out: several layers or directions in one module, projections, and
    recurrent weights that are not random, such as the identity's.

    Args:
        seen: inputs of the layers.
    """
    found = {
        layer.name: _prediction(module, seen.rows[module], seen.steps[module])
        for layer in layers
        if isinstance(module := layer.module, nn.RNNBase) and module in seen.rows and _is_known(module)
    }
    return {name: prediction for name, prediction in found.items() if prediction is not None}


def time_readings(norms: Mapping[str, Sequence[float]], predicted: Mapping[str, TimePrediction]) -> list[TimeReading]:
    """Returns what was measured of each recurrent layer beside what theory predicts.

    Args:
        norms: name of a layer -> norms of dL/dx by time step.

    Example:
        >>> norms = [0.25**step for step in (4, 3, 2, 1, 0)]
        >>> reading, = time_readings({"rnn": norms}, {"rnn": TimePrediction(0.26)})
        >>> reading.factor_measured, reading.factor_predicted
        (0.25, 0.26)
    """
    known = {name: {"factor_predicted": p.factor, "factor_scatter": p.scatter} for name, p in predicted.items()}
    return [TimeReading(name, list(n), _measured(n), **known.get(name, {})) for name, n in norms.items()]


def _measured(norms: Sequence[float]) -> float | None:
    """Returns the factor over the middle half of the steps between the last one that is read and the first exact one.

    Example:
        >>> round(_measured([0.0, 1e-38, 1e-30, 1e-25, 1e-20, 1e-15, 1e-10]) / 1e-5, 9)  # the first two do not count
        1.0
    """
    exact = [TINY < norm < math.inf for norm in norms]
    if True not in exact:
        return None
    last = len(exact) - 1 - exact[::-1].index(True)
    first = last - [*exact[last::-1], False].index(False) + 1
    early, late = (first + step for step in settled(last - first + 1))
    return (norms[early] / norms[late]) ** (1 / (late - early)) if late > early else None


def _is_known(module: nn.RNNBase) -> bool:
    single = module.num_layers == 1 and not module.bidirectional and not module.proj_size
    return single and all(map(_is_random, _weights(module, "weight_hh_l0").chunk(_gates(module))))


@torch.no_grad()
def _prediction(module: nn.RNNBase, inputs: Tensor, steps: int) -> TimePrediction | None:
    drives = _drives(module, inputs)
    weights = _weights(module, "weight_hh_l0").chunk(_gates(module))
    gates = [_gate(weight, drive) for weight, drive in zip(weights, drives, strict=True)]
    with suppress(*OUT_OF_RANGE):
        if isinstance(module, nn.LSTM):
            return TimePrediction(lstm_factor(*gates))
        if isinstance(module, nn.GRU):
            r, z, n = gates
            inside = _weights(module, "bias_hh_l0").chunk(3)[2].square().mean().item() if module.bias else 0.0
            return TimePrediction(gru_factor(r, z, n, inside))
        return _plain(str(module.nonlinearity), weights[0], drives[0], gates[0], steps)
    return None


def _plain(act: str, weight: Tensor, drive: Tensor, cell: Gate, steps: int) -> TimePrediction | None:
    first, last = settled(steps)
    if last <= first:
        return None
    if len(weight) < WIDE:
        factor = shared_matrix_factor(act, weight, drive.mean(0), drive.var(0, unbiased=False), steps)
    else:
        factor = rnn_factor(act, cell)
    q, _ = fixed_point(act, cell.sigma_w2, cell.drive + cell.mean**2)
    return TimePrediction(factor, log_scatter(act, q, len(weight)) / 2 / math.sqrt(last - first))


def _weights(module: nn.RNNBase, name: str) -> Tensor:
    result: Tensor = getattr(module, name).detach().cpu().double()
    return result


def _gates(module: nn.RNNBase) -> int:
    return len(module.weight_hh_l0) // module.hidden_size  # type: ignore[arg-type]


def _drives(module: nn.RNNBase, inputs: Tensor) -> Sequence[Tensor]:
    """Returns what each gate receives from the input and its biases, ``(rows, width)``."""
    found = inputs.cpu().double() @ _weights(module, "weight_ih_l0").T
    if module.bias:
        recurrent = _weights(module, "bias_hh_l0").clone()
        if isinstance(module, nn.GRU):
            recurrent[2 * module.hidden_size :] = 0.0  # the reset gate multiplies it
        found = found + _weights(module, "bias_ih_l0") + recurrent
    return found.chunk(_gates(module), dim=1)


def _gate(weight: Tensor, drive: Tensor) -> Gate:
    return Gate(len(weight) * weight.var(unbiased=False).item(), drive.var(unbiased=False).item(), drive.mean().item())


def _is_random(weight: Tensor) -> bool:
    """Whether the mean of all entries and that of the diagonal are as near to 0 as those of a random matrix."""
    std, n = weight.std(unbiased=False).item(), len(weight)
    mean, diagonal = weight.mean().item(), weight.diagonal().mean().item()
    bound = MAX_STANDARD_ERRORS * std
    return abs(mean) * n <= bound and abs(diagonal) * math.sqrt(n) <= bound < math.inf
