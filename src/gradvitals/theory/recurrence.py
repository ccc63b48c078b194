"""Wide recurrent networks at initialization: the factor on the gradient for each time step that it passes backward.

A plain cell is ``h_t = phi(W h_{t-1} + U x_t + b)``; inputs at different steps are taken as independent. Then the
variance of the pre-activation has a fixed point, and the squared gradient changes by ``chi = sigma_w2 E[phi'(z)^2]``
per step (Chen, Pennington & Schoenholz, 2018). For gated cells the same follows from the moments of the gates (Gilboa
et al., 2019). Gates, cell state and gradient are taken as independent of each other. Unlike the rest of this room, the
factors here apply to NORMS, as they are logged.

One matrix is used at all steps. In a plain cell that makes no difference. In a gated cell the gradient has two ways at
each step, past the matrix with mean factor ``a ** 0.5`` and through it with ``b ** 0.5``, and the ways that pass the
matrix equally often add up coherently, whenever they pass it: the mean square after k steps is the sum over j of
``binomial(k, j)^2 a^(k-j) b^j``. What fluctuates from step to step, ``e``, interrupts that. Summed over all steps
between interruptions, whose generating function is that of the Legendre polynomials, the squared factor is
``a + b + (e^2 + 4 a b) ** 0.5``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gradvitals.theory.gaussian_moments import Act
from gradvitals.theory.mean_field import fixed_point

FARTHEST, POINTS = 9.0, 601  # standard deviations, and points of the quadrature
STEPS, CLOSE = 500, 1e-10  # iterations to the fixed point, and the relative change that ends them


@dataclass(frozen=True)
class Gate:
    """The statistics of what a gate, or a plain cell, computes before its nonlinearity.

    Attributes:
        sigma_w2: width times the variance of its recurrent weights.
        drive: variance of what does not come from the state: ``U x + b``, over units, samples and steps.
        mean: its mean, such as that of a forget gate's bias.

    Example:
        >>> gate = Gate(sigma_w2=1.0, drive=0.5)
        >>> round(gate.expect(torch.square, square=0.25), 9)  # its variance: 1.0 * 0.25 + 0.5
        0.75
    """

    sigma_w2: float
    drive: float
    mean: float = 0.0

    @torch.inference_mode(False)
    @torch.no_grad()
    def expect(self, of: Callable[[Tensor], Tensor], square: float = 0.0) -> float:
        """Returns the mean of a function of the pre-activation.

        Args:
            of: a function of a tensor of pre-activations ``(points,)``, float64, that returns one of the same shape.
            square: mean square of the state.
        """
        z, weights = normal_quadrature()
        return float(of(self.mean + math.sqrt(self.sigma_w2 * square + self.drive) * z) @ weights)


def rnn_factor(act: Act, cell: Gate) -> float:
    """Returns the factor per time step of a plain cell.

    Example:
        >>> rnn_factor("relu", Gate(2.0, 0.3)), round(rnn_factor(lambda z: z, Gate(0.25, 1.0)), 9)
        (1.0, 0.5)
    """
    return math.sqrt(fixed_point(act, cell.sigma_w2, cell.drive + cell.mean**2)[1])


def lstm_factor(i: Gate, f: Gate, g: Gate, o: Gate) -> float:
    """Returns the factor per time step of an LSTM, from its input, forget, cell and output gates.

    With independent matrices at each step, the squares of the gradients of cell state and output would change by a
    matrix of two rows, of whose largest eigenvalue the coherent ways are a part. Without recurrent weights the factor
    is the root mean square of the forget gate.

    Args:
        i, f, g, o: the statistics of the input gate, the forget gate, the cell's candidate and the output gate.

    Example:
        >>> gate = Gate(0.0, 0.0)
        >>> round(lstm_factor(gate, gate, gate, gate), 9)
        0.5
    """
    sigmoid, tanh = torch.sigmoid, torch.tanh
    h, c = _squares_of_lstm(i, f, g, o)
    cell = Gate(0.0, c)
    kept = f.expect(lambda z: sigmoid(z) ** 2, h)
    through_output = o.expect(lambda z: sigmoid(z) ** 2, h) * cell.expect(lambda z: (1 - tanh(z) ** 2) ** 2)
    from_cell = (
        i.sigma_w2 * i.expect(_sigmoid_slope2, h) * g.expect(lambda z: tanh(z) ** 2, h)
        + f.sigma_w2 * f.expect(_sigmoid_slope2, h) * c
        + g.sigma_w2 * g.expect(lambda z: (1 - tanh(z) ** 2) ** 2, h) * i.expect(lambda z: sigmoid(z) ** 2, h)
    )
    from_output = o.sigma_w2 * o.expect(_sigmoid_slope2, h) * cell.expect(lambda z: tanh(z) ** 2)
    rows = [[kept + through_output * from_cell, through_output * from_output], [from_cell, from_output]]
    past = f.expect(sigmoid, h)
    written = i.expect(sigmoid, h) * g.expect(lambda z: 1 - tanh(z) ** 2, h)
    read = o.expect(sigmoid, h) * cell.expect(lambda z: 1 - tanh(z) ** 2)
    return _with_one_matrix(_largest_eigenvalue(rows), past**2, g.sigma_w2 * (written * read) ** 2)


def gru_factor(r: Gate, z: Gate, n: Gate, recurrent_bias: float = 0.0) -> float:
    """Returns the factor per time step of a GRU, from its reset gate, update gate and candidate.

    Args:
        r, z, n: the statistics of the reset gate, the update gate and the candidate.
        recurrent_bias: mean square of the candidate's bias inside the reset gate.

    Example:
        >>> gate = Gate(0.0, 0.0)
        >>> round(gru_factor(gate, gate, gate), 9)
        0.5
    """
    sigmoid, h, candidate = torch.sigmoid, 0.1, Gate(0.0, 0.0)
    kept = replaced = new = inside = reset = 0.0
    for _ in range(STEPS):
        inside = n.sigma_w2 * h + recurrent_bias
        reset = r.expect(lambda x: sigmoid(x) ** 2, h)
        candidate = Gate(0.0, n.drive + reset * inside, n.mean)
        new = candidate.expect(lambda x: torch.tanh(x) ** 2)
        kept, replaced = z.expect(lambda x: sigmoid(x) ** 2, h), z.expect(lambda x: sigmoid(-x) ** 2, h)
        known, h = h, replaced * new / (1 - kept)
        if abs(h - known) <= CLOSE * h:
            break
    slope = candidate.expect(lambda x: (1 - torch.tanh(x) ** 2) ** 2) * replaced
    independent = (
        kept
        + z.sigma_w2 * z.expect(_sigmoid_slope2, h) * (h + new)
        + n.sigma_w2 * reset * slope
        + r.sigma_w2 * r.expect(_sigmoid_slope2, h) * inside * slope
    )
    past = z.expect(sigmoid, h)
    through = r.expect(sigmoid, h) * candidate.expect(lambda x: 1 - torch.tanh(x) ** 2) * (1 - past)
    return _with_one_matrix(independent, past**2, n.sigma_w2 * through**2)


def memory_length(factor: float, share: float = 0.01) -> float:
    """Returns after how many time steps only this share of the gradient is left; infinity where it does not fall.

    Example:
        >>> round(memory_length(0.5, 0.25), 9), memory_length(1.0)
        (2.0, inf)
    """
    if factor >= 1:
        return math.inf
    return math.log(share) / math.log(factor) if factor > 0 else 0.0


def settled(steps: int) -> tuple[int, int]:
    """Returns the first and the last of the middle half of the time steps, from 0.

    There the gradient has come away from the loss, and the state from its start.

    Example:
        >>> settled(100)
        (25, 75)
    """
    return steps // 4, 3 * steps // 4


def normal_quadrature() -> tuple[Tensor, Tensor]:
    """Returns points and weights of averages of smooth functions of a standard normal variable, ``(points,)`` each.

    It is the trapezoidal rule, which is exact for them but for what is behind the last point.

    Example:
        >>> z, weights = normal_quadrature()
        >>> round(float(z.square() @ weights), 9)
        1.0
    """
    z = torch.linspace(-FARTHEST, FARTHEST, POINTS, dtype=torch.float64)
    density = torch.exp(-z.square() / 2)
    return z, density / density.sum()


def _with_one_matrix(independent: float, past: float, through: float) -> float:
    """Returns the factor where one matrix is used at all steps.

    Args:
        independent: the squared factor if each step had a matrix of its own.
        past, through: squares of the mean factors of the two ways of the gradient.

    Example:
        >>> _with_one_matrix(0.25 + 0.01, 0.25, 0.01)  # nothing fluctuates: 0.5 + 0.1
        0.6
    """
    fluctuating = max(independent - past - through, 0.0)
    return math.sqrt(past + through + math.sqrt(fluctuating**2 + 4 * past * through))


def _squares_of_lstm(i: Gate, f: Gate, g: Gate, o: Gate) -> tuple[float, float]:
    """Returns the mean squares of output and cell state, at their fixed point."""
    h = c = 0.1
    for _ in range(STEPS):
        known = h
        written = i.expect(lambda z: torch.sigmoid(z) ** 2, h) * g.expect(lambda z: torch.tanh(z) ** 2, h)
        c = written / (1 - f.expect(lambda z: torch.sigmoid(z) ** 2, h))
        h = o.expect(lambda z: torch.sigmoid(z) ** 2, h) * Gate(0.0, c).expect(lambda z: torch.tanh(z) ** 2)
        if abs(h - known) <= CLOSE * h:
            break
    return h, c


def _sigmoid_slope2(z: Tensor) -> Tensor:
    return (torch.sigmoid(z) * torch.sigmoid(-z)) ** 2


def _largest_eigenvalue(rows: list[list[float]]) -> float:
    (a, b), (c, d) = rows
    return (a + d) / 2 + math.sqrt(((a - d) / 2) ** 2 + b * c)
