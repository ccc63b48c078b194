"""Unusual loops: curricula, LBFGS, several optimizers, manual optimization, annealed terms."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from case import Case, Training
from cases.supervised import (
    ADAM,
    Batch,
    ByHand,
    NeverZeroed,
    OfCopy,
    Optimizer,
    Supervised,
    accuracy,
    adam,
    dice,
    explained,
    loader,
    mlp,
    predicted,
    sgd,
    shuffled,
    split,
)
from lightning import LightningModule
from sklearn import datasets
from torch import Tensor, nn
from torch.nn import functional as F


def digits() -> tuple[list[Tensor], list[Tensor]]:
    """Returns images between 0 and 1 and their digits, for training and held out."""
    data = datasets.load_digits()
    return split(torch.tensor(data.data).float() / 16, torch.tensor(data.target).long())


def entropy(net: nn.Module, batch: Batch) -> Tensor:
    """Returns the cross-entropy of digits."""
    return F.cross_entropy(net(batch[0]), batch[1])


class Curriculum(Supervised):
    """Adds noise to the images, more of it with each step, so that the loss rises while the net learns."""

    def __init__(self, *arguments: Any, most: float = 0.8, **named: Any):
        super().__init__(*arguments, **named)
        self.most = most

    def training_step(self, batch: Batch, index: int) -> Tensor:
        noise = self.most * min(1.0, self.global_step / 500)
        return super().training_step([batch[0] + noise * torch.randn_like(batch[0]), batch[1]], index)


def curriculum(optimizer: Optimizer = ADAM, *, most: float = 0.8, scramble: bool = False) -> Training:
    """Trains an MLP on digits in more and more noise."""
    train, held = digits()
    if scramble:
        train[1] = shuffled(train[1])
    noisy = held[0] + 0.4 * torch.randn(held[0].shape, generator=dice())
    module = Curriculum(mlp(64, 96, 10), entropy, optimizer, most=most)
    return Training(module, loader(*train), 600, lambda m: accuracy(predicted(m, noisy), held[1]), 0.1, 0.75)


def by_hand(optimizer: Optimizer = ADAM, module: type = ByHand) -> Training:
    """Trains an MLP on digits by hand."""
    train, held = digits()
    made = module(mlp(64, 64, 10), entropy, optimizer)
    return Training(made, loader(*train), 400, lambda m: accuracy(predicted(m, held[0]), held[1]), 0.1, 0.88)


class TwoOptimizers(LightningModule):
    """Steps a body and a head by hand, on one loss."""

    def __init__(self, body_lr: float, head_lr: float, zeroes: bool = True):
        super().__init__()
        self.automatic_optimization = False
        self.body, self.head = mlp(64, 64, 32), nn.Linear(32, 10)
        self.lrs, self.zeroes = (body_lr, head_lr), zeroes

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu())

    def training_step(self, batch: Batch, _: int) -> Tensor:
        loss = F.cross_entropy(self(batch[0]), batch[1])
        for optimizer in self.optimizers():
            if self.zeroes:
                optimizer.zero_grad()
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
        return loss

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        parts = (self.body, self.head)
        return [torch.optim.SGD(p.parameters(), lr, momentum=0.9) for p, lr in zip(parts, self.lrs, strict=True)]


def two(body_lr: float = 0.05, head_lr: float = 0.05, *, zeroes: bool = True, scramble: bool = False) -> Training:
    """Trains both on digits; each of the two optimizers counts as a step."""
    train, held = digits()
    if scramble:
        train[1] = shuffled(train[1])
    module = TwoOptimizers(body_lr, head_lr, zeroes)
    return Training(module, loader(*train), 1000, lambda m: accuracy(predicted(m, held[0]), held[1]), 0.1, 0.88)


def diabetes(
    optimizer: Optimizer,
    *,
    batch: int,
    steps: int,
    target_scale: float = 1.0,
    wave: bool = False,
    broadcast: bool = False,
) -> Training:
    """Trains an MLP on scikit-learn's diabetes, or on a wave in two dimensions."""
    if wave:
        x = torch.rand(800, 2, generator=dice()) * 2 - 1
        y = (3 * x[:, 0]).sin() * (2 * x[:, 1]).cos()
    else:
        data = datasets.load_diabetes()
        x, y = torch.tensor(data.data).float() * 20, torch.tensor(data.target).float()
    train, held = split(x, (y - y.mean()) / y.std() * target_scale)

    def loss(net: nn.Module, rows: Batch) -> Tensor:
        outputs = net(rows[0])
        return F.mse_loss(outputs if broadcast else outputs[:, 0], rows[1])

    module = Supervised(mlp(x.shape[1], 24, 1, act=nn.Tanh), loss, optimizer)
    score = lambda m: explained(predicted(m, held[0])[:, 0], held[1])  # noqa: E731
    return Training(module, loader(*train, batch=batch), steps, score, 0.0, 0.8 if wave else 0.25, held=held)


def lbfgs(lr: float, search: str | None) -> Optimizer:
    """Returns what makes an LBFGS of parameters."""
    return lambda parameters: torch.optim.LBFGS(list(parameters), lr, max_iter=10, line_search_fn=search)


class VAE(LightningModule):
    """A variational autoencoder of digits whose KL term grows from zero."""

    def __init__(self, lr: float, beta: float, sign: float, latent_scale: float):
        super().__init__()
        self.encoder, self.decoder = mlp(64, 64, 16), mlp(8, 64, 64)
        self.lr, self.beta, self.sign, self.latent_scale = lr, beta, sign, latent_scale

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x)[:, :8] * self.latent_scale)

    def training_step(self, batch: Batch, _: int) -> Tensor:
        mean, log_variance = self.encoder(batch[0]).chunk(2, 1)
        z = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        missed = (self.decoder(z * self.latent_scale) - batch[0]).square().sum(1).mean()
        kl = (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2
        return missed + self.sign * self.beta * min(1.0, self.global_step / 300) * kl

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.lr)


def vae(lr: float = 3e-3, beta: float = 0.2, sign: float = 1.0, latent_scale: float = 1.0) -> Training:
    """Trains it; the score is the share of the variance that is rebuilt."""
    train, held = digits()
    score = lambda m: explained(predicted(m, held[0]), held[0])  # noqa: E731
    return Training(VAE(lr, beta, sign, latent_scale), loader(*train), 600, score, 0.0, 0.4)


CURRICULUM, HAND = "digits in rising noise, MLP", "digits, MLP, manual optimization that returns nothing"
TWO, FULL = "digits, body and head with an optimizer each", "MLP, LBFGS on the full batch"
KL, DIABETES = "VAE of digits, annealed KL", "diabetes, MLP, MSE"
CASES = [
    Case("curriculum", f"{CURRICULUM}, Adam", curriculum),
    Case("by_hand2", f"{HAND}, Adam", by_hand),
    Case("two_optimizers", f"{TWO}, SGD", two),
    Case("lbfgs", f"wave, {FULL}", partial(diabetes, lbfgs(1.0, "strong_wolfe"), batch=600, steps=60, wave=True)),
    Case("diabetes", f"{DIABETES}, Adam", partial(diabetes, ADAM, batch=32, steps=300)),
    Case("diabetes_sgd", f"{DIABETES}, SGD", partial(diabetes, sgd(0.02), batch=32, steps=600)),
    Case("wave", "wave, MLP, Adam", partial(diabetes, adam(1e-2), batch=64, steps=700, wave=True)),
    Case("vae_annealed", f"{KL}, Adam", vae),
    Case("curriculum/lr_low", CURRICULUM, partial(curriculum, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case(
        "curriculum/shuffled", CURRICULUM, partial(curriculum, scramble=True), "labels are shuffled", ("not_learning",)
    ),
    Case(
        "curriculum/lr_high",
        CURRICULUM,
        partial(curriculum, adam(3.0)),
        "Adam lr 3",
        ("unstable", "dead_units", "exploding"),
    ),
    Case("by_hand2/lr_low", HAND, partial(by_hand, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case("by_hand2/lr_high", HAND, partial(by_hand, adam(3.0)), "Adam lr 3", ("unstable", "dead_units", "exploding")),
    Case(
        "by_hand2/never_zeroed",
        "digits, MLP, by hand",
        partial(by_hand, sgd(1.0, momentum=0.9), NeverZeroed),
        "gradients are never zeroed",
        ("no_update", "unstable", "dead_units", "exploding"),
    ),
    Case("by_hand2/copied", "digits, MLP", partial(by_hand, module=OfCopy), "the optimizer has a copy", ("no_update",)),
    Case("two_optimizers/lr_low", TWO, partial(two, 1e-8, 1e-8), "both rates are 1e-8", ("stalled", "slow")),
    Case(
        "two_optimizers/lr_high",
        TWO,
        partial(two, 30.0, 0.05),
        "the body's rate is 30",
        ("unstable", "dead_units", "exploding"),
    ),
    Case("two_optimizers/shuffled", TWO, partial(two, scramble=True), "labels are shuffled", ("not_learning",)),
    Case(
        "two_optimizers/never_zeroed",
        TWO,
        partial(two, 0.5, 0.5, zeroes=False),
        "gradients are never zeroed",
        ("no_update", "unstable", "dead_units", "exploding"),
    ),
    Case(
        "lbfgs/minibatch",
        "diabetes, MLP, LBFGS",
        partial(diabetes, lbfgs(1.0, None), batch=8, steps=60),
        "small batches and no line search",
        ("unstable", "exploding", "saturated"),
    ),
    Case(
        "lbfgs/lr_low",
        f"wave, {FULL}",
        partial(diabetes, lbfgs(1e-7, None), batch=600, steps=60, wave=True),
        "lr 1e-7",
        ("stalled", "slow"),
    ),
    Case(
        "diabetes/broadcast",
        DIABETES,
        partial(diabetes, ADAM, batch=32, steps=300, broadcast=True),
        "targets (n,) against outputs (n, 1)",
        ("head",),
    ),
    Case(
        "diabetes/targets",
        DIABETES,
        partial(diabetes, ADAM, batch=32, steps=300, target_scale=1e4),
        "targets of 1e4, Adam",
        ("target_scale",),
    ),
    Case(
        "diabetes/targets_sgd",
        DIABETES,
        partial(diabetes, sgd(0.1), batch=32, steps=300, target_scale=1e4),
        "targets of 1e4, SGD",
        ("target_scale", "unstable", "exploding", "saturated"),
    ),
    Case(
        "diabetes/decay",
        DIABETES,
        partial(diabetes, sgd(0.1, weight_decay=5.0), batch=32, steps=300),
        "weight decay 5",
        ("weight_decay",),
    ),
    Case(
        "vae_annealed/lr_high",
        KL,
        partial(vae, 3.0),
        "Adam lr 3",
        ("unstable", "non_finite", "exploding", "dead_units"),
    ),
    Case(
        "vae_annealed/wrong_sign",
        KL,
        partial(vae, sign=-1.0),
        "the KL term is maximized",
        ("unstable", "not_learning", "exploding", "non_finite"),
    ),
    Case("vae_annealed/collapsed", KL, partial(vae, beta=30.0), "beta 30: the code carries nothing", ("not_learning",)),
    Case(
        "vae_annealed/cut",
        KL,
        partial(vae, latent_scale=0.0),
        "the code is multiplied by 0",
        ("no_update", "not_learning"),
    ),
]
