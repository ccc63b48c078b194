"""The reference: one process, the whole batch, plain torch, and clippings written out."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_


def gradients(
    net: nn.Module, batches: list[tuple[Tensor, Tensor]], lr: float, clip: str = "none", val: float | None = None
) -> list[dict[str, Tensor]]:
    """What SGD is given at each step."""
    seen, totals = [], []
    for x, y in batches:
        net.zero_grad()
        F.cross_entropy(net(x), y).backward()
        clip_by_hand(net, clip, val, totals)
        seen.append({name: p.grad.clone() for name, p in net.named_parameters()})
        with torch.no_grad():
            for p in net.parameters():
                p -= lr * p.grad
    return seen


def clip_by_hand(net: nn.Module, clip: str, val: float | None, totals: list[float]) -> None:
    named = dict(net.named_parameters())
    grads = [p.grad for p in named.values()]
    if clip == "norm":
        clip_grad_norm_(net.parameters(), val)
    elif clip == "value":
        for g in grads:
            g.copy_(g.clamp(-val, val))
    elif clip == "per_parameter":
        for g in grads:
            g *= min(1, val / (length(g) + 1e-6))
    elif clip == "agc":
        for name, p in named.items():
            if not name.startswith("head"):
                rows = zip(p.data, p.grad, strict=True) if p.ndim > 1 else [(p.data, p.grad)]
                for weight, g in rows:
                    if length(g):
                        g *= min(1, val * max(length(weight), 1e-3) / length(g))
    elif clip == "percentile":
        totals.append(math.hypot(*map(length, grads)))
        for g in grads:
            g *= min(1, np.percentile(totals, val) / (totals[-1] + 1e-6))


def length(x: Tensor) -> float:
    return math.sqrt((x.double() ** 2).sum().item())
