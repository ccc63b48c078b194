"""Activations by name: module, gain, parameters.

Networks, initializers (``init=auto``) and theory read the same table. To add an activation, add an entry to
:data:`ACTIVATIONS` and a file to ``conf/act/``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import cache, lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Exponential(nn.Module):
    """``exp(x)``, for studies of exploding gradients."""

    is_activation = True  # see gradvitals.vitals.activation_statistics.is_activation

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(x)


class Erf(nn.Module):
    """The error function, whose mean-field theory has closed forms (Poole et al., 2016)."""

    is_activation = True

    def forward(self, x: Tensor) -> Tensor:
        return torch.erf(x)


@dataclass(frozen=True)
class Activation:
    """An entry of :data:`ACTIVATIONS`.

    Attributes:
        module: builds the ``nn.Module``; called once per layer, so that learned slopes are not shared.
        family: which initialization suits it: ``rectifier`` (He), ``self_normalizing`` (LeCun), ``saturating`` and
            ``linear`` (Glorot).
        params: its parameters with their defaults.
        kinks: where the derivative jumps, as numbers or names of parameters; quadrature intervals end there.
    """

    module: Callable[..., nn.Module]
    family: str
    params: Mapping[str, float | str] = field(default_factory=dict)
    kinks: tuple[float | str, ...] = (0.0,)


ACTIVATIONS: dict[str, Activation] = {
    "sigmoid": Activation(nn.Sigmoid, "saturating"),
    "tanh": Activation(nn.Tanh, "saturating"),
    "relu": Activation(nn.ReLU, "rectifier"),
    "leaky_relu": Activation(nn.LeakyReLU, "rectifier", {"negative_slope": 0.01}),
    "prelu": Activation(nn.PReLU, "rectifier", {"init": 0.25}),
    "elu": Activation(nn.ELU, "rectifier", {"alpha": 1.0}),
    "selu": Activation(nn.SELU, "self_normalizing"),
    "gelu": Activation(nn.GELU, "rectifier", {"approximate": "none"}),
    "silu": Activation(nn.SiLU, "rectifier"),
    "mish": Activation(nn.Mish, "rectifier"),
    "softplus": Activation(nn.Softplus, "rectifier", {"beta": 1.0, "threshold": 20.0}),
    "softsign": Activation(nn.Softsign, "saturating"),
    "hardtanh": Activation(nn.Hardtanh, "saturating", {"min_val": -1.0, "max_val": 1.0}, kinks=("min_val", "max_val")),
    "erf": Activation(Erf, "saturating"),
    "exponential": Activation(Exponential, "rectifier"),
    "identity": Activation(nn.Identity, "linear"),
}


def lookup(name: str) -> Activation:
    """Returns the entry of that name.

    Raises:
        ValueError: unknown name; the message lists the closest ones.

    Example:
        >>> lookup("elu").params
        {'alpha': 1.0}
    """
    if name in ACTIVATIONS:
        return ACTIVATIONS[name]
    close = get_close_matches(str(name), ACTIVATIONS, n=3, cutoff=0.4)
    raise ValueError(f"act: expected one of {', '.join(close or ACTIVATIONS)}; got {name!r}. Set it by act=NAME")


def activation(name: str, **params: float | str) -> Callable[[], nn.Module]:
    """Returns a factory of modules, which is called once per layer.

    Args:
        name: a key of :data:`ACTIVATIONS`.
        **params: that activation's own parameters.

    Raises:
        ValueError: unknown name or parameter.

    Example:
        >>> activation("leaky_relu", negative_slope=0.2)()
        LeakyReLU(negative_slope=0.2)
    """
    entry = lookup(name)
    if unknown := sorted(set(params) - set(entry.params)):
        takes = ", ".join(entry.params) or "no parameter"
        raise ValueError(f"act={name} takes {takes}; got {', '.join(unknown)}. Set it by act.PARAMETER=VALUE")
    return partial(entry.module, **{**entry.params, **params})


def gaussian_mean(f: Callable[[Tensor], Tensor], kinks: Iterable[float] = (0.0,)) -> float:
    """Computes ``E[f(z)]`` for a standard normal ``z``, by Gauss-Legendre quadrature split at the kinks of ``f``.

    Args:
        f: maps float64 points of shape ``(n,)`` to values of that shape.
        kinks: points at which ``f`` or its derivative jumps.

    Example:
        >>> round(gaussian_mean(lambda z: z.clamp(min=0) ** 2), 6)
        0.5
    """
    z, weights = _quadrature(tuple(sorted({-10.0, -3.0, 3.0, 10.0, *(kink for kink in kinks if abs(kink) < 10)})))
    return float((weights * f(z)).sum())


@lru_cache
@torch.inference_mode(False)
def _quadrature(ends: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    """The points of all segments between the ends, and the weights there, with the density of a standard normal."""
    points, weights = _legendre()
    edges = torch.tensor(ends, dtype=torch.float64)
    half, middle = edges.diff()[:, None] / 2, (edges[1:] + edges[:-1])[:, None] / 2
    z = (half * points + middle).flatten()
    return z, (half * weights).flatten() * (torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi))


@cache
def _legendre() -> tuple[Tensor, Tensor]:
    points, weights = np.polynomial.legendre.leggauss(64)
    return torch.from_numpy(points), torch.from_numpy(weights)


def gain(name: str, **params: float | str) -> float:
    """Returns the factor on ``1 / sqrt(fan_in)`` that suits an activation.

    It is torch's recommendation (``nn.init.calculate_gain``) if there is one; otherwise ``E[f(z)^2] ** -0.5`` for a
    standard normal ``z``, which keeps the mean square of the pre-activations from layer to layer (He et al., 2015, for
    any f). It is 1, not torch's 3/4, for SELU, whose fixed point assumes LeCun's weights (Klambauer et al., 2017).

    Example:
        >>> round(gain("relu"), 4), round(gain("gelu"), 4)
        (1.4142, 1.5335)
    """
    build = activation(name, **params)
    if name in ("relu", "sigmoid", "tanh"):
        return nn.init.calculate_gain(name)  # type: ignore[arg-type]
    if name in ("leaky_relu", "prelu"):
        slope: Any = {**lookup(name).params, **params}["negative_slope" if name == "leaky_relu" else "init"]
        return nn.init.calculate_gain("leaky_relu", slope)
    if name in ("selu", "identity"):
        return 1.0
    module, values = build().double(), {**lookup(name).params, **params}
    kinks = [float(values[kink] if isinstance(kink, str) else kink) for kink in lookup(name).kinks]
    return gaussian_mean(lambda z: module(z).detach() ** 2, kinks) ** -0.5
