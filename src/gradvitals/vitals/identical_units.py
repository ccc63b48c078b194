"""Units with identical weights, which get identical gradients and stay identical."""

from __future__ import annotations

import torch
from torch import Tensor

from gradvitals.vitals.norms import local


def are_copies(weight: Tensor) -> Tensor:
    """Returns whether all units of a weight ``(units, ...)`` are equal; shape ``()``, bool. False for a single unit.

    Example:
        >>> are_copies(torch.ones(3, 2)).item(), are_copies(torch.eye(3)).item()
        (True, False)
    """
    rows = local(weight.detach())
    if len(rows) < 2:
        return torch.zeros((), dtype=torch.bool, device=rows.device)
    return (rows == rows[:1]).all()
