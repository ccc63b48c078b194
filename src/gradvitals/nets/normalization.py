"""Normalization layers by name, for features ``(batch, features)`` and for images ``(batch, channels, height, width)``.

To add one for features, add an entry to :data:`NORMS` and a file to ``conf/model/``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

Norm = Callable[[int], nn.Module]


def _group(features: int, groups: int | None = None, **options: Any) -> nn.GroupNorm:
    """Returns GroupNorm, by default with at most 8 groups of at least 2 features; a group of 1 would return zeros."""
    if groups is None:
        groups = max((g for g in range(1, 9) if features % g == 0 and features // g > 1), default=1)
    if features % groups:
        raise ValueError(f"model.norm_groups: expected a divisor of the width {features}; got {groups}")
    return nn.GroupNorm(groups, features, **options)


NORMS: dict[str, Callable[..., nn.Module]] = {
    "batch": nn.BatchNorm1d,  # Ioffe & Szegedy, 2015
    "layer": nn.LayerNorm,  # Ba, Kiros & Hinton, 2016
    "group": _group,  # Wu & He, 2018
    "instance": partial(nn.LayerNorm, elementwise_affine=False),  # Ulyanov et al., 2016, of flat features
    "rms": nn.RMSNorm,  # Zhang & Sennrich, 2019
}


def norm(name: str, *, eps: float | None = None, momentum: float | None = None, groups: int | None = None) -> Norm:
    """Returns a factory ``features -> module``.

    Args:
        name: a key of :data:`NORMS`.
        eps: added to the variance; None selects torch's default (Keras uses 1e-3).
        momentum: weight of the newest batch in the moving statistics of ``batch``; None selects torch's 0.1 (Keras'
            0.99 is torch's 0.01).
        groups: number of groups of ``group``.

    Raises:
        ValueError: unknown name, or an option that this norm does not have.

    Example:
        >>> norm("batch", eps=1e-3)(4).eps
        0.001
    """
    if name not in NORMS:
        raise ValueError(f"model.norm: expected one of {', '.join(NORMS)} or null; got {name!r}")
    given = {"eps": eps, "momentum": momentum, "groups": groups}
    options = {key: value for key, value in given.items() if value is not None}
    for option, owner in (("momentum", "batch"), ("groups", "group")):
        if option in options and name != owner:
            raise ValueError(f"model.norm_{option} belongs to model.norm={owner}; got model.norm={name}")
    return partial(NORMS[name], **options)


IMAGE_NORMS: dict[str, Norm] = {
    "batch": nn.BatchNorm2d,
    "layer": partial(nn.GroupNorm, 1),  # over channels and pixels of a sample, with a factor for each channel
    "group": _group,
}


def image_norm(name: str) -> Norm:
    """Returns a factory ``channels -> module`` for images.

    Raises:
        ValueError: unknown name.

    Example:
        >>> image_norm("layer")(4).num_groups
        1
    """
    if name not in IMAGE_NORMS:
        raise ValueError(f"model.norm: expected one of {', '.join(IMAGE_NORMS)} or null for images; got {name!r}")
    return IMAGE_NORMS[name]
