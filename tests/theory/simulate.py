"""What the tests of the theory measure on: one run of a net backwards, one number per layer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from gradvitals.nets.mlp import MLP


def draw_(net: nn.Module, sigma_w2: float, sigma_b2: float = 0.0) -> None:
    """Gaussian weights of variance ``sigma_w2 / fan_in`` and biases of variance ``sigma_b2`` for every linear."""
    for module in net.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=math.sqrt(sigma_w2 / module.in_features))
            if module.bias is not None:
                nn.init.normal_(module.bias, std=math.sqrt(sigma_b2)) if sigma_b2 else nn.init.zeros_(module.bias)


def linears(net: nn.Module) -> list[nn.Linear]:
    """The linears that are layers; projections of shortcuts are none."""
    return [module for name, module in net.named_modules() if isinstance(module, nn.Linear) and "shortcut" not in name]


def squares(net: nn.Module, x: Tensor, loss: Callable[[Tensor], Tensor]) -> tuple[Tensor, float]:
    """``|dL/dh|^2`` of each linear over the whole batch, float64, input side first; the first ``h``'s mean square."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        output.retain_grad()
        seen.append(output)

    hooks = [layer.register_forward_hook(keep) for layer in linears(net)]
    net.zero_grad()
    loss(net(x)).backward()
    for hook in hooks:
        hook.remove()
    return torch.stack([h.grad.double().square().sum() for h in seen]), seen[0].double().square().mean().item()


def readout(output: Tensor) -> Tensor:
    """A loss that is linear in the output, with an independent random direction for each sample."""
    return (output * torch.randn_like(output)).sum()


def cross_entropy(output: Tensor) -> Tensor:
    """On random labels."""
    return nn.functional.cross_entropy(output, torch.randint(output.shape[1], (len(output),)))


def log_ratios(
    build: Callable[[], nn.Module],
    seeds: Iterable[int],
    *,
    sigma_w2: float | None = 2.0,
    sigma_b2: float = 0.0,
    batch: int = 32,
    width: int = 256,
    loss: Callable[[Tensor], Tensor] = readout,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """``log(|dL/dh_l|^2 / |dL/dh_{l+1}|^2)``, shape ``(seeds, layers - 1)``, over Gaussian inputs of variance 1."""
    rows = []
    for seed in seeds:
        torch.manual_seed(seed)
        net = build().to(dtype)
        if sigma_w2 is not None:
            draw_(net, sigma_w2, sigma_b2)
        rows.append(-squares(net, torch.randn(batch, width, dtype=dtype), loss)[0].log().diff())
    return torch.stack(rows)


def mlp(depth: int, width: int, **settings: object) -> Callable[[], MLP]:
    """A builder of nets with as many outputs as a hidden layer has units."""
    return lambda: MLP(width, width, depth=depth, width=width, **settings)


def geometric_mean(logs: Tensor | Sequence[float]) -> float:
    return math.exp(float(torch.as_tensor(logs).mean()))
