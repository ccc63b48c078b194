"""Units that are copies of each other, which no gradient tells apart."""

from __future__ import annotations

import torch
from torch import Tensor

from gradvitals.vitals.norms import local


def are_copies(weight: Tensor) -> Tensor:
    """Whether all units of a layer have the same weights; shape ``()``, bool.

    Args:
        weight: shape ``(units, ...)``. A single unit is no copy.

    Example:
        >>> are_copies(torch.ones(3, 2)).item(), are_copies(torch.eye(3)).item()
        (True, False)
    """
    rows = local(weight.detach())
    if len(rows) < 2:
        return torch.zeros((), dtype=torch.bool, device=rows.device)
    return (rows == rows[:1]).all()
