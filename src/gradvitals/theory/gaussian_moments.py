"""Averages of an activation and its slope over a Gaussian pre-activation: all that mean-field theory asks of it."""

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

FINEST = 16  # halvings by 4, which serve variances up to 1e18; beyond, a bend is too small to count

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
PROBE = (-1e3, -2.0, -0.5, 0.3, 1.0, 1e3)

Act = str | Callable[[Tensor], Tensor]
Function = Callable[[Tensor], Tensor]


@torch.inference_mode(False)
@torch.no_grad()
def moment(act: Act | None, of: Callable[[Function, Tensor], Tensor], q: float = 1.0) -> float:
    """``E[of(phi, h)]`` for ``h`` normal with mean 0 and variance ``q``.

    Right to 1e-9 and better for the activations of the table. ``exponential`` is right up to ``q = 4``, where its mean
    square is 3,000; beyond it comes out too low, or infinite.

    Args:
        act: a name of the table, or a callable on float64 tensors whose only kink is at 0; None is the identity.
        of: given the activation as a function, and points, float64 of shape ``(n,)``; returns that shape.
        q: variance of ``h``; 0 and infinity give the limits.

    Returns:
        Infinity where the average does not fit into float64.

    Raises:
        ValueError: no activation has that name.

    Example:
        >>> round(moment("relu", lambda phi, h: h * phi(h)), 9)
        0.5
    """
    phi, kinks = resolve(act)
    if q == 0:
        return float(of(phi, torch.tensor([-1e-160, 1e-160], dtype=torch.float64)).mean())  # either side of a kink at 0
    if math.isinf(q):
        return float(of(phi, torch.tensor([-1e160, 1e160], dtype=torch.float64)).mean())  # whose square is infinite
    scale = math.sqrt(q)
    return gaussian_mean(lambda z: of(phi, scale * z), _breaks(kinks, scale))


def second_moment(act: Act | None, q: float = 1.0) -> float:
    """``E[phi(h)^2]``.

    Example:
        >>> round(second_moment("relu", 3.0), 9)
        1.5
    """
    return moment(act, lambda phi, h: phi(h) ** 2, q)


def mean(act: Act | None, q: float = 1.0) -> float:
    """``E[phi(h)]``.

    Example:
        >>> round(mean("sigmoid", 3.0), 9)
        0.5
    """
    return moment(act, lambda phi, h: phi(h), q)


def slope_moment(act: Act | None, q: float = 1.0, power: int = 2) -> float:
    """``E[phi'(h)^power]``.

    Example:
        >>> round(slope_moment("relu", 3.0, power=4), 9)
        0.5
    """
    return moment(act, lambda phi, h: slope(phi, h) ** power, q)


def resolve(act: Act | None) -> tuple[Function, tuple[float, ...]]:
    """Returns the function on float64 tensors that ``act`` means, which leaves its argument as it is, and its kinks.

    Raises:
        ValueError: no activation has that name.
    """
    if act is None:
        return nn.Identity(), ()
    if isinstance(act, str):
        return _named(act)
    phi = _evaluable(act) if isinstance(act, nn.Module) else act
    return lambda h: phi(h.clone()), (0.0,)  # a copy, since it may work in place


@torch.inference_mode(False)
@torch.no_grad()
def elementwise(module: nn.Module) -> Function | None:
    """Returns what a module computes of each number alone, as a function of float64 tensors on the CPU.

    The function is that of a copy in evaluation mode, and leaves its argument as it is.

    Returns:
        None where the module mixes numbers, draws random ones, does not take a flat tensor of any length in float64, or
        has no slope.

    Example:
        >>> elementwise(nn.ReLU(inplace=True))(torch.tensor([-1.0, 2.0]))
        tensor([0., 2.])
        >>> elementwise(nn.Softmax(dim=-1)) is None
        True
    """
    points = torch.tensor(PROBE, dtype=torch.float64)
    inner = slice(1, -1)  # of another length, which a parameter per unit does not fit
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
    """Returns a copy: a module's own slopes keep the precision in which they are trained.

    The copy has no hooks. Those of the monitor would be called, and each would be copied with all that it refers to.
    """
    memo: dict[int, Any] = {id(getattr(m, name)): OrderedDict() for m in module.modules() for name in HOOKS}
    return copy.deepcopy(module, memo).to("cpu", torch.float64).eval()


@lru_cache
@torch.inference_mode(False)
def _named(name: str) -> tuple[Function, tuple[float, ...]]:
    entry = lookup(name)
    kinks = tuple(float(entry.params[kink] if isinstance(kink, str) else kink) for kink in entry.kinks)
    return activation(name)().double(), kinks


def slope(phi: Function, h: Tensor) -> Tensor:
    """``phi'(h)``, of the shape of ``h``.

    Example:
        >>> slope(torch.tanh, torch.zeros(1))
        tensor([1.])
    """
    h = h.detach().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(phi(h).sum(), h)
    return found


def _breaks(kinks: tuple[float, ...], scale: float) -> set[float]:
    """Where to split the quadrature, in units of ``z``: at kinks, and around 0 ever finer down to the bend's own size.

    An activation bends within a few units of ``h = 0``, which a large variance squeezes into a small interval of ``z``.
    """
    sizes = [4.0**power for power in range(FINEST) if 4.0**power < 10 * scale]
    return {h / scale for h in (*kinks, 0.0, *sizes, *(-size for size in sizes))}
