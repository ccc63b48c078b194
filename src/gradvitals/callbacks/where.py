"""Naming the layer in which numbers that are not finite show."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gradvitals.vitals import Layer, NonFinite


def where_in(measured: Mapping[str, float], layers: Sequence[Layer]) -> str | None:
    """Which layer a measured step names: in order of the forward pass, then of the backward pass; None: none.

    Args:
        measured: numbers by tag.
        layers: by depth.

    Example:
        >>> layer = Layer("net", 0, "00.net", "Linear", 4)
        >>> where_in({"weight_norm/00.net": 1.0, "activation_grad_norm/00.net": float("inf")}, [layer])
        'the gradient of the loss with respect to the output of net (Linear)'
    """
    ways = {
        "weight_norm": ("parameter", layers),
        "activation_mean": ("forward", layers),
        "activation_grad_norm": ("backward", layers[::-1]),
        "grad_norm": ("gradient", layers[::-1]),
    }
    for tag, (where, order) in ways.items():
        for layer in order:
            if not math.isfinite(measured.get(f"{tag}/{layer.label}", 0.0)):
                return str(NonFinite(where, layer.name, layer.kind))
    return None


def largest_gradient(measured: Mapping[str, float], layers: Sequence[Layer]) -> str | None:
    """Which layer's weight gradient is the largest, and how large.

    Example:
        >>> largest_gradient({"grad_norm/00.net": 3.0}, [Layer("net", 0, "00.net", "Linear", 4)])
        'net (Linear) has the largest gradient, 3'
    """
    norms = {layer: measured[tag] for layer in layers if (tag := f"grad_norm/{layer.label}") in measured}
    if not norms:
        return None
    layer = max(norms, key=lambda layer: norms[layer])
    return f"{layer.name} ({layer.kind}) has the largest gradient, {norms[layer]:.3g}"
