"""Random networks of convolutions, 32 channels wide, and how far their gains are from theory."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import fmean

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gradvitals import preflight

CHANNELS, SAMPLES, CLASSES = 32, 16, 10
ACTS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "leaky": nn.LeakyReLU, "elu": nn.ELU, "silu": nn.SiLU}


@dataclass(frozen=True)
class Configuration:
    depth: int
    kernel: int
    size: int
    act: str
    norm: bool
    residual: bool
    axes: int
    pool: str | None
    head: str
    sigma_w2: float
    padding: str

    @classmethod
    def draw(cls, number: int, padding: str) -> Configuration:
        drawn = random.Random(number * 7 + (padding == "circular"))
        return cls(
            depth=drawn.randint(6, 16),
            kernel=drawn.choice([1, 3, 3, 5]),
            size=drawn.choice([8, 12, 16]),
            act=drawn.choice(list(ACTS)),
            norm=drawn.choice([False, False, True]),
            residual=drawn.random() < 0.3,
            axes=drawn.choice([1, 2, 2, 2]),
            pool=drawn.choice([None, "max", "avg", "stride"]),
            head=drawn.choice(["mean", "flatten"]),
            sigma_w2=drawn.choice([1.0, 1.4, 2.0]),
            padding=padding,
        )


class Residual(nn.Module):
    def __init__(self, branch: nn.Module) -> None:
        super().__init__()
        self.branch = branch

    def forward(self, x: Tensor) -> Tensor:
        return x + self.branch(x)


def network(c: Configuration) -> nn.Sequential:
    """Convolutions with norms and activations, halved once in the middle; blocks are norm, activation, convolution."""

    def of_axes(name: str) -> type[nn.Module]:
        return getattr(nn, f"{name}{c.axes}d")

    parts: list[nn.Module] = []
    channels, size, middle = 3, c.size, c.depth // 2
    for place in range(c.depth):
        stride = 2 if c.pool == "stride" and place == middle else 1
        size = -(-size // stride)
        shape = {"stride": stride, "padding": c.kernel // 2, "padding_mode": c.padding}
        conv = of_axes("Conv")(channels, CHANNELS, c.kernel, **shape)
        behind = [*([of_axes("BatchNorm")(CHANNELS)] if c.norm else []), ACTS[c.act]()]
        if c.residual and place and stride == 1:
            parts.append(Residual(nn.Sequential(*behind, conv)))
        else:
            parts += [conv, *behind]
        if c.pool in ("max", "avg") and place == middle:
            parts.append(of_axes({"max": "MaxPool", "avg": "AvgPool"}[c.pool])(2))
            size //= 2
        channels = CHANNELS
    if c.head == "mean":
        parts += [of_axes("AdaptiveAvgPool")(1), nn.Flatten(), nn.Linear(CHANNELS, CLASSES)]
    else:
        parts += [nn.Flatten(), nn.Linear(CHANNELS * size**c.axes, CLASSES)]
    return nn.Sequential(*parts)


def log_ratios(c: Configuration, seed: int) -> list[float]:
    """Log of measured over predicted gain of each layer but the last, for one draw of weights and inputs."""
    generator = torch.Generator().manual_seed(seed)
    net = network(c)
    for module in net.modules():
        weight = getattr(module, "weight", None)
        if weight is None or weight.ndim == 1:
            continue
        sigma_w2 = 1 / 3 if isinstance(module, nn.Linear) else c.sigma_w2
        nn.init.normal_(weight, std=math.sqrt(sigma_w2 / weight[0].numel()), generator=generator)
        nn.init.normal_(module.bias, std=0.1, generator=generator)
    x = torch.randn(SAMPLES, 3, *[c.size] * c.axes, generator=generator)
    found = preflight(net, (x, torch.arange(SAMPLES) % CLASSES), F.cross_entropy)
    assert len(found.layers) == c.depth + 1
    return [math.log(layer.gain_measured / layer.gain_predicted) for layer in found.layers[:-1]]


def factor(number: int, padding: str, draws: int = 4) -> float:
    """Measured over predicted factor per layer: geometric mean over the layers and some draws of the weights."""
    c = Configuration.draw(number, padding)
    return math.exp(fmean(fmean(log_ratios(c, 1000 * number + draw)) for draw in range(draws)))
