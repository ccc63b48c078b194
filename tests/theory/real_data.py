"""Trainings on Fashion-MNIST that published claims are about."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch
from torch import nn

from gradvitals.data.images import Images
from gradvitals.nets.mlp import MLP


def images(scaling: str) -> tuple[torch.Tensor, torch.Tensor]:
    """The training images ``(n, 784)`` and their classes."""
    data = Images("FashionMNIST", os.environ["GRADVITALS_DATA"], download=False, scaling=scaling)
    data.setup()
    rows = data.train_dataloader().dataset
    pairs = rows.__getitems__(list(range(20_000)))
    return pairs[0].flatten(1), pairs[1]


def top_activation_of_sigmoids(steps: Mapping[str, int]) -> dict[str, float]:
    """Mean activation of the top layer of 4 x 400 sigmoids, by the name of the step (Glorot & Bengio, 2010, fig. 2)."""
    x, y = images("unit")
    net = MLP(784, 10, depth=4, width=400, act="sigmoid")
    for p in net.parameters():
        nn.init.uniform_(p, -(p.shape[1] ** -0.5), p.shape[1] ** -0.5) if p.ndim == 2 else nn.init.zeros_(p)
    top: list[float] = []
    net.layers[-1].register_forward_hook(lambda module, inputs, output: top.append(output.mean().item()))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for step in range(max(steps.values()) + 1):
        rows = slice(10 * step, 10 * step + 10)
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x[rows]), y[rows]).backward()
        optimizer.step()
    return {name: top[step] for name, step in steps.items()}
