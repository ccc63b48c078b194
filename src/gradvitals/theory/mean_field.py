"""Plain wide networks at initialization: how the signal's variance and the gradient change from layer to layer.

``h_l = W_l phi(h_{l-1}) + b_l`` with ``Var W = sigma_w2 / fan_in`` and ``Var b = sigma_b2``; ``q`` is the variance of
``h``. All factors apply to SQUARED norms; logged norms change by their square roots.
(Poole et al., 2016; Schoenholz et al., 2017.)
"""

from __future__ import annotations

import math
from collections.abc import Callable

from gradvitals.theory.gaussian_moments import Act, second_moment, slope_moment

FLAT = 1e-13  # relative change of q below which it is constant, as for ReLU at sigma_w2 = 2
FARTHEST = 1e8  # variances beyond this, or below its inverse, converge to infinity, or to 0


def variance_map(act: Act, q: float, sigma_w2: float, sigma_b2: float = 0.0) -> float:
    """Returns the next layer's ``q``: ``sigma_w2 E[phi(h)^2] + sigma_b2``.

    Example:
        >>> round(variance_map("relu", 1.0, 2.0), 9)  # He et al. (2015): constant
        1.0
    """
    return sigma_w2 * second_moment(act, q) + sigma_b2


def chi(act: Act, q: float, sigma_w2: float) -> float:
    """Computes ``sigma_w2 E[phi'(h)^2]``, the expected ``|dL/dh_l|^2 / |dL/dh_{l+1}|^2`` if ``h_l`` has variance ``q``.

    Below 1 the gradient vanishes towards the input, above 1 it explodes.

    Example:
        >>> round(chi("relu", 1.0, 2.0), 9), round(chi("sigmoid", 1e-9, 1.0), 6)  # the latter at most 1/16
        (1.0, 0.0625)
    """
    return sigma_w2 * slope_moment(act, q)


def trajectory(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> list[float]:
    """Returns the variances ``q_1 ... q_depth``.

    Example:
        >>> [round(q, 6) for q in trajectory("relu", 1.0, depth=3)]
        [1.0, 0.5, 0.25]
    """
    qs = [q1]
    while len(qs) < depth:
        qs.append(variance_map(act, qs[-1], sigma_w2, sigma_b2))
    return qs


def gain(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> float:
    """Returns the factor per layer on the squared gradient: the geometric mean of the ``depth - 1`` factors of a net.

    It uses the variance of each layer and not that of the fixed point, to which GELU and tanh need dozens of layers.

    Raises:
        ValueError: ``depth`` below 2.

    Example:
        >>> round(gain("relu", 1.0), 6)  # LeCun's initialization halves it
        0.5
        >>> round(gain("tanh", 1.0), 4)
        0.8417
    """
    if depth < 2:
        raise ValueError(f"depth: expected at least 2 layers; got {depth}")
    factors = [chi(act, q, sigma_w2) for q in trajectory(act, sigma_w2, sigma_b2, q1, depth - 1)]
    return 0.0 if 0 in factors else math.exp(sum(map(math.log, factors)) / len(factors))


def weight_gain(act: Act, sigma_w2: float, sigma_b2: float = 0.0, q1: float = 1.0, depth: int = 20) -> float:
    """Returns :func:`gain` of one sample's squared weight gradient, ``|dL/dW_l|^2 = |dL/dh_l|^2 |phi(h_{l-1})|^2``.

    It is 1 if activations shrink as fast as gradients: then weight gradients do not show that the gradient vanishes
    (Glorot & Bengio, 2010, eq. 14). In a batch, samples that become similar in deep layers change it by up to 6 %.

    Example:
        >>> round(weight_gain("relu", 1.0), 6)
        1.0
    """
    last = trajectory(act, sigma_w2, sigma_b2, q1, depth - 1)[-1]
    first_input, last_input = (q1 - sigma_b2) / sigma_w2, second_moment(act, last)
    result: float = gain(act, sigma_w2, sigma_b2, q1, depth) * (first_input / last_input) ** (1 / (depth - 1))
    return result


def fixed_point(act: Act, sigma_w2: float, sigma_b2: float = 0.0) -> tuple[float, float]:
    """Returns the variance to which ``q`` converges from 1, possibly 0 or infinity, and ``chi`` there.

    Example:
        >>> q, factor = fixed_point("tanh", 2.0)
        >>> round(q, 4), round(factor, 4)
        (0.618, 1.1055)
    """
    q = _settle(lambda q: variance_map(act, q, sigma_w2, sigma_b2))
    return q, chi(act, q, sigma_w2)


def edge_of_chaos(act: Act, q: float) -> tuple[float, float]:
    """Returns the ``(sigma_w2, sigma_b2)`` at which ``q`` is constant and the gradient neither vanishes nor explodes.

    A negative ``sigma_b2`` means that no net has its edge of chaos at that ``q``.

    Example:
        >>> sigma_w2, sigma_b2 = edge_of_chaos("gelu", (3 + 17**0.5) / 2)  # Roberts, Yaida & Hanin (2022), ch. 5
        >>> round(sigma_w2, 6), round(sigma_b2, 6)
        (1.983058, 0.172922)
    """
    sigma_w2 = 1 / slope_moment(act, q)
    return sigma_w2, q - sigma_w2 * second_moment(act, q)


def critical_sigma_w2(act: Act, sigma_b2: float = 0.0) -> float:
    """Returns the ``sigma_w2`` at which the gradient neither vanishes nor explodes, for a variance of the bias.

    It is infinity if there is none, as for ReLU with a bias.

    Example:
        >>> round(critical_sigma_w2("tanh", 0.05), 4), round(critical_sigma_w2("relu"), 9)
        (1.761, 2.0)
    """
    # On the edge, the wanted q is the fixed point of the map q - sigma_b2(q) + sigma_b2.
    q = _settle(lambda q: q - edge_of_chaos(act, q)[1] + sigma_b2)
    return math.inf if math.isinf(q) else edge_of_chaos(act, q)[0]


def lsuv_sigma_w2(act: Act) -> float:
    """Returns ``sigma_w2`` after LSUV (Mishkin & Matas, 2016), which scales each ``h`` to variance 1.

    The gradient's factor is then ``chi(act, 1.0, lsuv_sigma_w2(act))``: above 1 for tanh.

    Example:
        >>> round(lsuv_sigma_w2("relu"), 9)
        2.0
    """
    return 1 / second_moment(act)


def _settle(step: Callable[[float], float]) -> float:
    """Returns the fixed point to which an increasing map converges from 1."""

    def growth(log_q: float) -> float:
        after = step(math.exp(log_q))
        relative = after / math.exp(log_q) - 1
        return 0.0 if abs(relative) < FLAT else min(relative, 1.0)  # the step may be infinite

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
    """Returns the zero of ``f`` between two points ``(x, f(x))`` of opposite sign, by Ridders' method."""
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
