"""Vectors are learnt without classes: contrastive, triplets, SimSiam. Signals are a mixture of content and nuisance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from lightning import LightningModule
from toolkit import MakeOptimizer, adam, adamw, batches, predicted, sgd
from torch import Tensor, nn

CONTENT, NUISANCE = 6, 26
STALLED = ("stalled", "slow")
TOO_HIGH = ("unstable", "exploding", "non_finite")


@cache
def mixing() -> Tensor:
    """How content and nuisance become a signal."""
    return torch.linalg.qr(torch.randn(32, 32, generator=torch.Generator().manual_seed(13)))[0]


def views(content: Tensor, seed: int) -> Tensor:
    """Signals of that content with another nuisance."""
    nuisance = 2 * torch.randn(len(content), NUISANCE, generator=torch.Generator().manual_seed(seed))
    return torch.cat([content, nuisance], 1) @ mixing()


def drawn(samples: int, seed: int) -> Tensor:
    """Contents."""
    return torch.randn(samples, CONTENT, generator=torch.Generator().manual_seed(seed))


class Embedding(LightningModule):
    """An encoder under one of the losses below."""

    def __init__(self, loss: Callable[[Embedding, Any], Tensor], optimizer: MakeOptimizer, width: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(32, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, width), nn.BatchNorm1d(width)
        )
        if loss is simsiam:
            self.predictor = nn.Sequential(nn.Linear(width, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, width))
        if loss is collapsing:
            self.encoder[-1] = nn.Identity()
        self._loss, self._optimizer = loss, optimizer

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.encoder(x), dim=1)

    def training_step(self, batch: Any, _: int) -> Tensor:
        return self._loss(self, batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._optimizer(self.parameters())


def info_nce(module: Embedding, batch: Any, heat: float = 0.2) -> Tensor:
    """The other view among all of the batch."""
    a, b = module(batch[0]), module(batch[1])
    return F.cross_entropy(a @ b.T / heat, torch.arange(len(a)))


def simsiam(module: Embedding, batch: Any) -> Tensor:
    """Each view predicts the other one, which is detached."""
    a, b = module.encoder(batch[0]), module.encoder(batch[1])
    return -0.5 * (_cosine(module.predictor(a), b.detach()) + _cosine(module.predictor(b), a.detach()))


def collapsing(module: Embedding, batch: Any) -> Tensor:
    """Views are to be alike, and nothing keeps them apart: one constant is the best answer."""
    return -_cosine(module.encoder(batch[0]), module.encoder(batch[1]))


def _cosine(a: Tensor, b: Tensor) -> Tensor:
    return F.cosine_similarity(a, b, dim=1).mean()


def triplet(module: Embedding, batch: Any) -> Tensor:
    """The hardest samples of the batch, by identity."""
    h, identity = module(batch[0]), batch[1]
    distance = torch.cdist(h, h)
    same = identity[:, None] == identity
    positive = distance.masked_fill(~same, 0).max(1)[0]
    negative = distance.masked_fill(same, 9).mean(1)
    return F.relu(positive - negative + 0.5).mean()


def by_class(module: Embedding, batch: Any) -> Tensor:
    """Supervised contrastive."""
    h, identity = module(batch[0]), batch[1]
    same = (identity[:, None] == identity).float().fill_diagonal_(0)
    log_share = F.log_softmax((h @ h.T / 0.2).masked_fill(torch.eye(len(h)).bool(), -1e9), 1)
    return -((log_share * same).sum(1) / same.sum(1).clamp(min=1)).mean()


def retrieved(a: Tensor, b: Tensor) -> Callable[[LightningModule], float]:
    """The share of samples whose other view is the closest."""

    def score(module: LightningModule) -> float:
        near = predicted(module, a) @ predicted(module, b).T
        return float((near.argmax(1) == torch.arange(len(a))).float().mean())

    return score


def paired(loss: Callable[[Embedding, Any], Tensor], optimizer: MakeOptimizer, steps: int = 400) -> Training:
    """Two views of each content."""
    content, held_out = drawn(2000, 14), drawn(100, 15)
    module = Embedding(loss, optimizer)
    loader = batches(views(content, 16), views(content, 17), size=64)
    return Training(module, loader, steps, retrieved(views(held_out, 18), views(held_out, 19)), 0.01, 0.5)


def identified(
    loss: Callable[[Embedding, Any], Tensor], optimizer: MakeOptimizer, steps: int = 500, is_shuffled: bool = False
) -> Training:
    """60 identities in int64; those held out are others."""
    identity = torch.arange(3000) % 60
    x = views(drawn(60, 20)[identity], 21)
    held_out = drawn(60, 22)
    if is_shuffled:
        identity = identity[torch.randperm(3000)]
    score = retrieved(views(held_out, 23), views(held_out, 24))
    return Training(Embedding(loss, optimizer), batches(x, identity, size=128), steps, score, 1 / 60, 0.5)


CASES = [
    Case("simclr", "InfoNCE of two views, Adam", partial(paired, info_nce, adam(3e-3))),
    Case("simclr_sgd", "InfoNCE of two views, SGD with momentum", partial(paired, info_nce, sgd(0.05, momentum=0.9))),
    Case("simsiam", "SimSiam: cosine, which is below 0, SGD", partial(paired, simsiam, sgd(0.05, momentum=0.9), 800)),
    Case("triplet", "triplet loss, identities as labels, Adam", partial(identified, triplet, adam(3e-3))),
    Case("supervised_contrastive", "by identities, AdamW", partial(identified, by_class, adamw(3e-3))),
    Case("simclr/lr_high", "InfoNCE", partial(paired, info_nce, adam(100.0)), "Adam lr 100", TOO_HIGH),
    Case("simclr/lr_low", "InfoNCE", partial(paired, info_nce, sgd(1e-6)), "SGD lr 1e-6", STALLED),
    Case("simsiam/lr_low", "SimSiam", partial(paired, simsiam, sgd(1e-6)), "SGD lr 1e-6", STALLED),
    Case(
        "simsiam/collapsed",
        "SimSiam",
        partial(paired, collapsing, sgd(0.05)),
        "no predictor, no detached side, no last BatchNorm: all outputs become one",
    ),
    Case("triplet/lr_low", "triplets", partial(identified, triplet, adam(1e-8)), "Adam lr 1e-8", STALLED),
    Case(
        "triplet/shuffled",
        "triplets",
        partial(identified, triplet, adam(3e-3), is_shuffled=True),
        "identities of other samples",
    ),
    Case(
        "supervised_contrastive/decay",
        "by identities",
        partial(identified, by_class, sgd(0.1, weight_decay=1.0)),
        "SGD with weight decay 1",
        ("weight_decay",),
    ),
]
