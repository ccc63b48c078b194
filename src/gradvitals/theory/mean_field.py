"""Plain wide networks at initialisation: how the signal's variance and the gradient change from layer to layer.

``h_l = W_l phi(h_{l-1}) + b_l`` with ``Var W = sigma_w2 / fan_in`` and ``Var b = sigma_b2``; ``q`` is the variance of
``h``. All factors are of SQUARED norms; a callback that logs norms sees their square roots.
(Poole et al., 2016; Schoenholz et al., 2017.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradvitals.theory.gaussian_moments import Act, second_moment, slope_moment

FLAT = 1e-13  # relative change of q below which a step keeps it, as ReLU's does at sigma_w2 = 2
FARTHEST = 1e8  # variances beyond this, or below its inverse, are on their way to infinity, or to 0


def variance_map(act: Act, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """The next layer's ``q``: ``sigma_w2 E[phi(h)^2] + sigma_b2``.

    Args:
        act: a name of the table, or a callable on float64 tensors.
        q: variance of this layer's pre-activations.
        sigma_w2: ``fan_in * Var W``.
        sigma_b2: variance of the bias.

    Raises:
        ValueError: no activation has that name.

    Example:
        >>> round(variance_map("relu", 1.0, 2.0), 9)  # He et al. (2015): kept
        1.0
    """
    return sigma_w2 * second_moment(act, q) + sigma_b2


def chi(act: Act, q: float, sigma_w2: float) -> float:
    """Expected ``|dL/dh_l|^2 / |dL/dh_{l+1}|^2`` where ``h_l`` has variance ``q``: ``sigma_w2 E[phi'(h)^2]``.

    Below 1 the gradient vanishes towards the input, above 1 it explodes.

    Example:
        >>> round(chi("relu", 1.0, 2.0), 9), round(chi("sigmoid", 1e-9, 1.0), 6)  # the latter at most 1/16
        (1.0, 0.0625)
    """
    return sigma_w2 * slope_moment(act, q)


def trajectory(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> list[float]:
    """``q_1 ... q_depth``.

    Example:
        >>> [round(q, 6) for q in trajectory("relu", 1.0, depth=3)]
        [1.0, 0.5, 0.25]
    """
    qs = [q1]
    while len(qs) < depth:
        qs.append(variance_map(act, qs[-1], sigma_w2, sigma_b2))
    return qs


def gain(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> float:
    """A layer's factor on the squared gradient in a net of ``depth`` layers: geometric mean of its depth - 1 factors.

    Along the variances that the net runs through, which are not those of the fixed point: GELU and tanh take dozens of
    layers to settle.

    Raises:
        ValueError: ``depth`` below 2.

    Example:
        >>> round(gain("relu", 1.0), 6)  # LeCun's initialisation halves it
        0.5
        >>> round(gain("tanh", 1.0), 4)
        0.8417
    """
    if depth < 2:
        raise ValueError(f"depth: expected at least 2 layers, between which a gradient can change; got {depth}")
    return _geometric_mean([chi(act, q, sigma_w2) for q in trajectory(act, sigma_w2, sigma_b2, q1, depth - 1)])


def weight_gain(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> float:
    """As :func:`gain`, of the squared weight gradient of one sample: ``|dL/dW_l|^2 = |dL/dh_l|^2 |phi(h_{l-1})|^2``.

    Flat where activations shrink as fast as gradients do (Glorot & Bengio, 2010, eq. 14): a vanishing gradient that the
    weights' gradients do not show. In a batch, samples that deep layers make alike add up and tilt it by up to 6 %.

    Example:
        >>> round(weight_gain("relu", 1.0), 6)
        1.0
    """
    last = trajectory(act, sigma_w2, sigma_b2, q1, depth - 1)[-1]
    first_input, last_input = (q1 - sigma_b2) / sigma_w2, second_moment(act, last)
    return gain(act, sigma_w2, sigma_b2, q1, depth) * (first_input / last_input) ** (1 / (depth - 1))


def fixed_point(act: Act, sigma_w2: float, sigma_b2: float = 0.0) -> tuple[float, float]:
    """Where ``q`` settles on its way from 1, and ``chi`` there.

    Returns:
        ``(q, chi)``; ``q`` is 0 or infinity where it shrinks or grows for ever, and ``chi`` then the limit.

    Example:
        >>> q, factor = fixed_point("tanh", 2.0)
        >>> round(q, 4), round(factor, 4)
        (0.618, 1.1055)
    """
    q = _settle(lambda q: variance_map(act, q, sigma_w2, sigma_b2))
    return q, chi(act, q, sigma_w2)


def edge_of_chaos(act: Act, q: float) -> tuple[float, float]:
    """The ``(sigma_w2, sigma_b2)`` at which ``q`` stays and the gradient neither vanishes nor explodes.

    ``sigma_b2`` is negative where no net has its edge at that ``q``.

    Example:
        >>> sigma_w2, sigma_b2 = edge_of_chaos("gelu", (3 + 17**0.5) / 2)  # Roberts, Yaida & Hanin (2022), ch. 5
        >>> round(sigma_w2, 6), round(sigma_b2, 6)
        (1.983058, 0.172922)
    """
    sigma_w2 = 1 / slope_moment(act, q)
    return sigma_w2, q - sigma_w2 * second_moment(act, q)


def critical_sigma_w2(act: Act, sigma_b2: float = 0.0) -> float:
    """The ``sigma_w2`` at which the gradient neither vanishes nor explodes, given the bias's variance.

    Infinity where there is none, as for ReLU with a bias.

    Example:
        >>> round(critical_sigma_w2("tanh", 0.05), 4), round(critical_sigma_w2("relu"), 9)
        (1.761, 2.0)
    """
    # On the edge q - sigma_b2(q) is a map whose fixed point under an added sigma_b2 is the q looked for.
    q = _settle(lambda q: q - edge_of_chaos(act, q)[1] + sigma_b2)
    return math.inf if math.isinf(q) else edge_of_chaos(act, q)[0]


def lsuv_sigma_w2(act: Act) -> float:
    """What LSUV (Mishkin & Matas, 2016) makes of ``sigma_w2`` when it scales each ``h`` to variance 1.

    The gradient's factor is then ``chi(act, 1.0, lsuv_sigma_w2(act))``: above 1 for tanh.

    Example:
        >>> round(lsuv_sigma_w2("relu"), 9)
        2.0
    """
    return 1 / second_moment(act)


def _settle(step: Callable[[float], float]) -> float:
    """The first fixed point of an increasing map on the way from 1."""

    def growth(log_q: float) -> float:
        after = step(math.exp(log_q))
        relative = after / math.exp(log_q) - 1
        return 0.0 if abs(relative) < FLAT else min(relative, 1.0)  # an infinite step grows, no more is asked of it

    near, growth_near = 0.0, growth(0.0)
    if growth_near == 0:
        return 1.0
    far = near
    while True:
        far += math.copysign(math.log(4), growth_near)
        growth_far = growth(far)
        if growth_far * growth_near <= 0:
            return math.exp(_root(growth, (near, growth_near), (far, growth_far)))
        if abs(far) > math.log(FARTHEST):
            return 0.0 if growth_near < 0 else math.inf
        near, growth_near = far, growth_far


def _root(f: Callable[[float], float], a: tuple[float, float], b: tuple[float, float]) -> float:
    """Zero of ``f`` between two points ``(x, f(x))`` of unlike sign, by Ridders' method: sure, and fast."""
    while b[1] != 0 and abs(b[0] - a[0]) > FLAT:
        x = (a[0] + b[0]) / 2
        middle = (x, f(x))
        if middle[1] == 0:
            return x
        x += (x - a[0]) * math.copysign(middle[1], a[1] * middle[1]) / math.sqrt(middle[1] ** 2 - a[1] * b[1])
        new = (x, f(x))
        if new[1] * middle[1] < 0:
            a, b = middle, new
        else:
            a, b = (a if a[1] * new[1] < 0 else b), new
    return b[0]


def _geometric_mean(factors: list[float]) -> float:
    if 0 in factors:
        return 0.0
    return math.exp(sum(map(math.log, factors)) / len(factors))
