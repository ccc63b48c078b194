"""A net that is pre-trained is trained further: all of it, its head, or low-rank additions."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from toolkit import MakeOptimizer, Supervised, accuracy, adam, adamw, batches, chained, digits, sgd, warmup_cosine
from torch import Tensor, nn

STALLED = ("stalled", "slow")
TOO_HIGH = ("unstable", "exploding", "non_finite")


@cache
def _weights(classes: int, epochs: int) -> dict[str, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(30)
        net = chained(64, 128, 128, 10)
        x, y, *_ = digits()
        x, y = x[y < classes].flatten(1), y[y < classes]
        optimizer = torch.optim.Adam(net.parameters(), 2e-3)
        for _ in range(epochs):
            for part in torch.randperm(len(x)).split(32):
                optimizer.zero_grad()
                F.cross_entropy(net(x[part]), y[part]).backward()
                optimizer.step()
    return {name: weight.clone() for name, weight in net.state_dict().items()}


def pretrained(classes: int = 10, epochs: int = 4) -> nn.Sequential:
    """An MLP that knows the first so many digits."""
    net = chained(64, 128, 128, 10)
    net.load_state_dict(_weights(classes, epochs))
    return nn.Sequential(nn.Flatten(), *net)


class LowRank(nn.Module):
    """A frozen linear layer with a trained addition of rank 8 that starts at zero."""

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        self.layer = layer.requires_grad_(False)
        self.down = nn.Linear(layer.in_features, 8, bias=False)
        self.up = nn.Linear(8, layer.out_features, bias=False)
        nn.init.zeros_(self.up.weight)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.up(self.down(x))


def low_rank() -> nn.Sequential:
    """All linear layers are frozen and get an addition."""
    return nn.Sequential(*(LowRank(m) if isinstance(m, nn.Linear) else m for m in pretrained()))


def new_head(classes: int = 8) -> nn.Sequential:
    """A frozen backbone that knows some digits, and a new head."""
    net = pretrained(classes).requires_grad_(False)
    net[-1] = nn.Linear(128, 10)
    return net


def all_frozen_but(name: str) -> nn.Sequential:
    """A wrong part is frozen: the new head stays random."""
    net = new_head()
    for known, parameter in net.named_parameters():
        parameter.requires_grad_(known == name)
    return net


def reluctant_head() -> nn.Sequential:
    """The new head is zero and frozen, and the backbone is to be trained."""
    net = pretrained()
    net[-1] = nn.Linear(128, 10)
    for parameter in net[-1].parameters():
        nn.init.zeros_(parameter).requires_grad_(False)
    return net


def mirrored(x: Tensor) -> Tensor:
    """Another domain: images are turned by a quarter and inverted."""
    return 1 - x.rot90(1, (2, 3))


def tuned(
    net: Callable[[], nn.Module],
    optimizer: MakeOptimizer,
    *,
    domain: Callable[[Tensor], Tensor] = lambda x: x,
    steps: int = 500,
    good: float = 0.88,
    **options: Any,
) -> Training:
    """Returns a training of what was trained before."""
    x, y, x_test, y_test = digits()
    module = Supervised(net(), optimizer=optimizer, **options)
    held = domain(x_test), y_test
    return Training(module, batches(domain(x), y), steps, accuracy(*held), 0.1, good, held=held)


def lora_wrong(net: nn.Module) -> list[nn.Parameter]:
    """The frozen weights, by a slip in the filter of names."""
    return [p for name, p in net.named_parameters() if ".layer." in name]


CASES = [
    Case("finetune", "a trained MLP is trained further, Adam 1e-5", partial(tuned, pretrained, adam(1e-5))),
    Case(
        "finetune_adamw",
        "a trained MLP is trained further, AdamW 3e-5, warm-up and cosine",
        partial(tuned, pretrained, adamw(3e-5), scheduler=warmup_cosine(50, 500)),
    ),
    Case(
        "finetune_sgd",
        "a trained MLP is trained further, SGD 1e-3 with momentum",
        partial(tuned, pretrained, sgd(1e-3, momentum=0.9)),
    ),
    Case(
        "finetune_converged",
        "an MLP trained to the end is trained further, Adam 1e-5",
        partial(tuned, partial(pretrained, 10, 20), adam(1e-5)),
    ),
    Case(
        "finetune_domain",
        "a trained MLP, another domain, Adam 1e-3",
        partial(tuned, pretrained, adam(1e-3), domain=mirrored, steps=800),
    ),
    Case(
        "frozen_backbone",
        "a frozen backbone and a new head, Adam",
        partial(tuned, new_head, adam(1e-2), steps=800, good=0.85),
    ),
    Case(
        "lora",
        "additions of rank 8 that start at zero, another domain, Adam",
        partial(tuned, low_rank, adam(2e-3), domain=mirrored, good=0.8),
    ),
    Case("finetune/lr_high", "a trained MLP", partial(tuned, pretrained, adam(1.0)), "Adam lr 1", TOO_HIGH),
    Case("finetune/sgd_lr_high", "a trained MLP", partial(tuned, pretrained, sgd(30.0)), "SGD lr 30", TOO_HIGH),
    Case(
        "finetune_domain/lr_low",
        "a trained MLP, another domain",
        partial(tuned, pretrained, adam(1e-7), domain=mirrored),
        "Adam lr 1e-7",
        STALLED,
    ),
    Case(
        "finetune/zero_frozen_head",
        "a trained MLP",
        partial(tuned, reluctant_head, adam(1e-3)),
        "the new head is zero and frozen",
        ("no_update", "poor_init"),
    ),
    Case(
        "frozen_backbone/lr_low",
        "a frozen backbone and a new head",
        partial(tuned, new_head, adam(1e-7)),
        "Adam lr 1e-7",
        STALLED,
    ),
    Case(
        "frozen_backbone/only_bias",
        "a frozen backbone and a new head",
        partial(tuned, partial(all_frozen_but, "5.bias"), adam(3e-3)),
        "the head's weight is frozen, too",
        ("no_update",),
    ),
    Case(
        "lora/wrong_parameters",
        "additions of rank 8",
        partial(tuned, low_rank, adam(2e-3), domain=mirrored, parameters=lora_wrong),
        "the optimizer holds the frozen weights",
        ("no_update",),
    ),
]
