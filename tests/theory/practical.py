"""Nets as people build them: torch's initialisers, cross-entropy, and what their gradients do."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

import torch
from torch import nn

from gradvitals.nets.mlp import MLP
from gradvitals.vitals import norms
from tests.theory.reference import act_of
from tests.theory.simulate import cross_entropy

INITIALISERS = {
    "lecun_normal": lambda w: nn.init.normal_(w, std=w.shape[1] ** -0.5),
    "xavier_uniform": nn.init.xavier_uniform_,
    "kaiming_normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "orthogonal": nn.init.orthogonal_,
    "orthogonal_sqrt2": lambda w: nn.init.orthogonal_(w, gain=math.sqrt(2)),
}


def sigmas(init: str, width: int) -> tuple[float, float]:
    """``(sigma_w2, sigma_b2)`` of square layers."""
    if init == "default":
        return 1 / 3, 1 / (3 * width)
    return (2.0, 0.0) if init in ("kaiming_normal", "orthogonal_sqrt2") else (1.0, 0.0)


def net_of(act: str, init: str, width: int, depth: int) -> MLP:
    module = act_of(act)
    net = MLP(width, 10, depth=depth, width=width, act=module if isinstance(module, str) else lambda: module).double()
    if init != "default":
        for p in net.parameters():
            INITIALISERS[init](p) if p.ndim == 2 else nn.init.zeros_(p)
    return net


def measured(act: str, init: str, seeds: Iterable[int], batch: int = 64, width: int = 256, depth: int = 20) -> dict:
    """Geometric mean of the NORM's ratio between neighbouring hidden layers: of ``delta``, of the batch's weight
    gradient ``w``, and of its per-sample rms; and the decades between first and last layer."""
    logs: dict[str, list[float]] = {"delta": [], "w": [], "w_per_sample": []}
    for seed in seeds:
        torch.manual_seed(seed)
        net = net_of(act, init, width, depth)
        inputs, outputs = [], []

        def keep(module, received, output, inputs=inputs, outputs=outputs):
            inputs.append(received[0].detach())
            output.retain_grad()
            outputs.append(output)

        for layer in net.layers:
            layer.linear.register_forward_hook(keep)
        cross_entropy(net(torch.randn(batch, width, dtype=torch.float64))).backward()
        deltas = [h.grad for h in outputs]
        one_by_one = [(d.square().sum(1) @ a.square().sum(1)).sqrt() for d, a in zip(deltas, inputs, strict=True)]
        sizes = {
            "delta": norms(deltas),
            "w": norms([layer.linear.weight.grad for layer in net.layers]),
            "w_per_sample": torch.stack(one_by_one),
        }
        for key, size in sizes.items():
            logs[key].append((size[0] / size[-1]).log().item())
    found = {key: math.exp(fmean(values) / (depth - 1)) for key, values in logs.items()}
    return found | {f"log10_{key}": fmean(logs[key]) / math.log(10) for key in ("delta", "w")}
