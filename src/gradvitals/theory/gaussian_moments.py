"""Averages of an activation and its slope over Gaussian pre-activations, on which mean-field theory is built."""

from __future__ import annotations

import copy
import math
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from gradvitals.activations import activation, gaussian_mean, lookup

FINEST = 16  # quadrature intervals that grow by 4; enough for variances up to 1e18

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
PROBE = (-1e3, -2.0, -0.5, 0.3, 1.0, 1e3)

Act = str | Callable[[Tensor], Tensor]
Function = Callable[[Tensor], Tensor]


@torch.inference_mode(False)
@torch.no_grad()
def moment(act: Act | None, of: Callable[[Function, Tensor], Tensor], q: float = 1.0) -> float:
    """Computes ``E[of(phi, h)]`` for ``h`` normal with mean 0 and variance ``q``.

    The error is at most 1e-9 for the activations of the table, but for ``exponential`` only up to ``q = 4``, where its
    mean square is 3,000; beyond that its results are too low, or infinite.

    Args:
        act: an activation's name, or a callable on float64 tensors whose only kink is at 0; None is the identity.
        of: a function of the activation and of points, float64 of shape ``(n,)``, with values of this shape.
        q: variance of ``h``; 0 and infinity give the limits.

    Returns:
        The average; infinity if float64 overflows.

    Example:
        >>> round(moment("relu", lambda phi, h: h * phi(h)), 9)
        0.5
    """
    phi, kinks = resolve(act)
    if q == 0 or math.isinf(q):
        size = 1e-160 if q == 0 else 1e160  # either side of a kink at 0, or with an infinite square
        return float(of(phi, torch.tensor([-size, size], dtype=torch.float64)).mean())
    scale = math.sqrt(q)
    return gaussian_mean(lambda z: of(phi, scale * z), _breaks(kinks, scale))


def second_moment(act: Act | None, q: float = 1.0) -> float:
    """Computes ``E[phi(h)^2]``.

    Example:
        >>> round(second_moment("relu", 3.0), 9)
        1.5
    """
    return moment(act, lambda phi, h: phi(h) ** 2, q)


def mean(act: Act | None, q: float = 1.0) -> float:
    """Computes ``E[phi(h)]``.

    Example:
        >>> round(mean("sigmoid", 3.0), 9)
        0.5
    """
    return moment(act, lambda phi, h: phi(h), q)


def slope_moment(act: Act | None, q: float = 1.0, power: int = 2) -> float:
    """Computes ``E[phi'(h)^power]``.

    Example:
        >>> round(slope_moment("relu", 3.0, power=4), 9)
        0.5
    """
    return moment(act, lambda phi, h: slope(phi, h) ** power, q)


def resolve(act: Act | None) -> tuple[Function, tuple[float, ...]]:
    """Returns an activation as a function on float64 tensors, which does not change its argument, and its kinks."""
    if act is None:
        return nn.Identity(), ()
    if isinstance(act, str):
        return _named(act)
    phi = _evaluable(act) if isinstance(act, nn.Module) else act
    return lambda h: phi(h.clone()), (0.0,)  # a copy, because the activation may work in place


@torch.inference_mode(False)
@torch.no_grad()
def elementwise(module: nn.Module) -> Function | None:
    """Returns the elementwise function of a module, on float64 tensors on the CPU, which does not change its argument.

    It is that of a copy in evaluation mode. None if the module mixes numbers, draws random ones, does not accept a flat
    tensor of any length in float64, or has no slope.

    Example:
        >>> elementwise(nn.ReLU(inplace=True))(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        >>> elementwise(nn.Softmax(dim=-1)) is None
        True
    """
    points = torch.tensor(PROBE, dtype=torch.float64)
    inner = slice(1, -1)  # has another length, so modules with one parameter per unit fail
    try:
        phi, _ = resolve(module)
        with torch.random.fork_rng(devices=()):
            whole, part = phi(points), phi(points[inner])
            slope(phi, points)
        same = whole.shape == points.shape and torch.allclose(whole[inner], part, equal_nan=True)
    except Exception:  # a user's own code may raise anything
        return None
    return phi if same else None


def _evaluable(module: nn.Module) -> nn.Module:
    """Returns a copy without hooks, so that the module keeps its precision and no hook of the monitor is called."""
    memo: dict[int, Any] = {id(getattr(m, name)): OrderedDict() for m in module.modules() for name in HOOKS}
    return copy.deepcopy(module, memo).to("cpu", torch.float64).eval()


@lru_cache
@torch.inference_mode(False)
def _named(name: str) -> tuple[Function, tuple[float, ...]]:
    entry = lookup(name)
    kinks = tuple(float(entry.params[kink] if isinstance(kink, str) else kink) for kink in entry.kinks)
    return activation(name)().double(), kinks


def slope(phi: Function, h: Tensor) -> Tensor:
    """Computes ``phi'(h)``, in the shape of ``h``.

    Example:
        >>> slope(torch.tanh, torch.zeros(1))
        tensor([1.])
    """
    h = h.detach().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(phi(h).sum(), h)
    return found


def _breaks(kinks: tuple[float, ...], scale: float) -> set[float]:
    """Returns where to split the quadrature, in units of ``z``: at kinks, and ever finer towards 0.

    An activation bends within a few units of ``h = 0``, which for a large variance is a small interval of ``z``.
    """
    sizes = [4.0**power for power in range(FINEST) if 4.0**power < 10 * scale]
    return {h / scale for h in (*kinks, 0.0, *sizes, *(-size for size in sizes))}
