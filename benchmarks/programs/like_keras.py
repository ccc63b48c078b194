"""What Keras does by default, by hand: weights, and losses of probabilities."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TINY = 1e-7  # what Keras clips probabilities with


def dense(inputs: int, units: int, init: str = "glorot") -> nn.Linear:
    """Returns a linear layer with zero biases and the weights that Keras calls glorot, uniform or normal."""
    layer = nn.Linear(inputs, units)
    nn.init.zeros_(layer.bias)
    if init == "uniform":
        nn.init.uniform_(layer.weight, -0.05, 0.05)
    elif init == "normal":
        nn.init.normal_(layer.weight, 0, 0.05)
    else:
        nn.init.xavier_uniform_(layer.weight)
    return layer


def mlp(
    widths: list[int], act: type[nn.Module], last: nn.Module | None = None, init: str = "glorot", dropout: float = 0
) -> nn.Sequential:
    """Returns dense layers, the activation behind each but the last, and the last one's own."""
    layers: list[nn.Module] = []
    for inputs, units in pairwise(widths[:-1]):
        layers += [dense(inputs, units, init), act(), *([nn.Dropout(dropout)] if dropout else [])]
    return nn.Sequential(*layers, dense(widths[-2], widths[-1], init), *([last] if last else []))


def bce(p: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of what should be probabilities, clipped as Keras does."""
    return F.binary_cross_entropy(p.clamp(TINY, 1 - TINY), y.reshape(p.shape).float())


def nll(p: Tensor, y: Tensor) -> Tensor:
    """Categorical cross-entropy of what should be probabilities, divided by their sum and clipped as Keras does."""
    return F.nll_loss((p / p.sum(1, keepdim=True)).clamp(TINY, 1 - TINY).log(), y)


def class_mse(p: Tensor, y: Tensor) -> Tensor:
    """Squared error of one-hot classes."""
    return F.mse_loss(p, F.one_hot(y, p.shape[1]).float())


def class_hinge(p: Tensor, y: Tensor) -> Tensor:
    """Hinge loss of one-hot classes, as signs."""
    return F.relu(1 - (2 * F.one_hot(y, p.shape[1]) - 1) * p).mean()


def mse(output: Tensor, y: Tensor) -> Tensor:
    """Squared error, the shapes made equal."""
    return F.mse_loss(output, y.reshape(output.shape))


def mae(output: Tensor, y: Tensor) -> Tensor:
    """Absolute error, the shapes made equal."""
    return F.l1_loss(output, y.reshape(output.shape))


class LSTM(nn.Module):
    """One LSTM layer with an activation of one's own; returns all states."""

    def __init__(self, inputs: int, units: int, act: str) -> None:
        super().__init__()
        self.inputs, self.states = dense(inputs, 4 * units), nn.Linear(units, 4 * units, bias=False)
        nn.init.orthogonal_(self.states.weight)
        self.units, self.act = units, getattr(torch, act)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(len(x), self.units)
        out = []
        for step in self.inputs(x).unbind(1):
            i, f, g, o = (step + self.states(h)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * self.act(g)
            h = o.sigmoid() * self.act(c)
            out.append(h)
        return torch.stack(out, 1)
