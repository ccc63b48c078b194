"""Samples are drawn: VAE, diffusion, GANs, flows."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from lightning import LightningModule
from toolkit import batches, chained, digits, predicted
from torch import Tensor, nn

STALLED = ("stalled", "slow")
TOO_HIGH = ("unstable", "exploding", "non_finite")


class VAE(LightningModule):
    """A variational autoencoder; the weight of its KL term grows over the first ``annealed`` steps."""

    def __init__(self, rate: float, annealed: int = 200, act: Callable[[], nn.Module] = nn.ReLU) -> None:
        super().__init__()
        self.encoder = chained(64, 64, 24, act=act)
        self.decoder = chained(12, 64, 64, act=act)
        self.rate, self.annealed = rate, annealed

    def forward(self, x: Tensor) -> Tensor:
        return self.decoder(self.encoder(x.flatten(1)).chunk(2, 1)[0]).view_as(x)

    def training_step(self, batch: Any, _: int) -> Tensor:
        x = batch[0].flatten(1)
        mean, log_var = self.encoder(x).chunk(2, 1)
        output = self.decoder(mean + (log_var / 2).exp() * torch.randn_like(mean))
        kl = 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1).mean()
        weight = min(1.0, self.global_step / self.annealed) if self.annealed else 1.0
        return 20 * (output - x).square().sum(1).mean() + weight * kl

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.rate)


def vae(rate: float = 2e-3, steps: int = 600, **options: Any) -> Training:
    """The loader carries labels that are not used."""
    x, y, x_test, _ = digits()

    def score(module: LightningModule) -> float:
        return -float(F.mse_loss(predicted(module, x_test), x_test))

    trivial = -float(F.mse_loss(x.mean(0).expand_as(x_test), x_test))
    return Training(VAE(rate, **options), batches(x, y), steps, score, trivial, 0.65 * trivial)


@cache
def two_moons() -> Tensor:
    """Points on two half circles."""
    made = torch.Generator().manual_seed(9)
    angle, side = math.pi * torch.rand(2000, generator=made), torch.arange(2000) % 2
    upper = torch.stack([angle.cos() - 0.5, angle.sin() - 0.25], 1)
    return torch.where(side[:, None] == 0, upper, -upper) + 0.05 * torch.randn(2000, 2, generator=made)


class Diffusion(LightningModule):
    """Predicts the noise; the last layer starts at zero."""

    def __init__(self, rate: float, is_wrong: bool = False, frozen: bool = False) -> None:
        super().__init__()
        self.net = chained(4, 96, 96, 2, act=nn.SiLU)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        if frozen:
            self.net[-1].requires_grad_(False)
        self.rate, self.is_wrong = rate, is_wrong

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        turn = 0.5 * math.pi * time
        return self.net(torch.cat([x, turn.cos(), turn.sin()], 1))

    def noised(self, x: Tensor, made: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy points, their times, the noise."""
        time = torch.rand(len(x), 1, generator=made)
        noise = torch.randn(x.shape, generator=made)
        turn = 0.5 * math.pi * time
        return turn.cos() * x + turn.sin() * noise, time, noise

    def training_step(self, batch: Any, _: int) -> Tensor:
        x, time, noise = self.noised(batch[0])
        return F.mse_loss(self(x, time), torch.randn_like(noise) if self.is_wrong else noise)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), self.rate)


def diffusion(rate: float = 3e-3, steps: int = 700, **options: Any) -> Training:
    """Of two moons."""
    points = two_moons()

    def score(module: LightningModule) -> float:
        x, time, noise = module.noised(points[1600:], torch.Generator().manual_seed(10))
        with torch.no_grad():
            return -float(F.mse_loss(module(x, time), noise))

    return Training(Diffusion(rate, **options), batches(points[:1600], size=64), steps, score, -1.0, -0.5)


def sliced(a: Tensor, b: Tensor) -> float:
    """The sliced Wasserstein distance of two clouds of one size."""
    turn = torch.arange(16) * math.pi / 16
    onto = torch.stack([turn.cos(), turn.sin()])
    return float(((a @ onto).sort(0)[0] - (b @ onto).sort(0)[0]).abs().mean())


class Players(LightningModule):
    """A generator and a critic in turns, under manual optimization that returns nothing.

    Args:
        rates: of the generator and the critic.
        is_wasserstein: with a gradient penalty, else the usual cross-entropy.
        swapped: both optimizers hold the critic.
        turns: of the critic for each of the generator.
    """

    def __init__(
        self,
        rates: tuple[float, float] = (1e-3, 1e-3),
        is_wasserstein: bool = False,
        swapped: bool = False,
        turns: int = 1,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.generator = chained(4, 64, 64, 2)
        self.critic = chained(2, 64, 64, 1, act=lambda: nn.LeakyReLU(0.2))
        self.rates, self.is_wasserstein, self.swapped, self.turns = rates, is_wasserstein, swapped, turns

    def forward(self, z: Tensor) -> Tensor:
        return self.generator(z)

    def training_step(self, batch: Any, batch_index: int) -> None:  # type: ignore[override]
        x = batch[0]
        of_generator, of_critic = self.optimizers()
        fake = self(torch.randn(len(x), 4))
        of_critic.zero_grad()
        self.manual_backward(self.critics_loss(x, fake.detach()))
        of_critic.step()
        if batch_index % self.turns:
            return
        of_generator.zero_grad()
        judged = self.critic(fake)
        self.manual_backward(-judged.mean() if self.is_wasserstein else F.softplus(-judged).mean())
        of_generator.step()

    def critics_loss(self, x: Tensor, fake: Tensor) -> Tensor:
        """Real against generated."""
        real, made = self.critic(x), self.critic(fake)
        if not self.is_wasserstein:
            return F.softplus(-real).mean() + F.softplus(made).mean()
        between = torch.lerp(x, fake, torch.rand(len(x), 1)).requires_grad_()
        slope = torch.autograd.grad(self.critic(between).sum(), between, create_graph=True)[0]
        return made.mean() - real.mean() + (slope.norm(dim=1) - 1).square().mean()

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        betas = (0.5, 0.9)
        first = self.critic if self.swapped else self.generator
        return [
            torch.optim.Adam(first.parameters(), self.rates[0], betas=betas),
            torch.optim.Adam(self.critic.parameters(), self.rates[1], betas=betas),
        ]


def players(steps: int = 1200, **options: Any) -> Training:
    """Two moons are imitated; both players' steps count. The trivial answer is one point in the middle."""
    points = two_moons()

    def score(module: LightningModule) -> float:
        z = torch.randn(400, 4, generator=torch.Generator().manual_seed(11))
        return -sliced(predicted(module, z), points[1600:])

    trivial = -sliced(points[:1600].mean(0).expand(400, 2), points[1600:])
    return Training(Players(**options), batches(points[:1600], size=64), steps, score, trivial, 0.4 * trivial)


class Coupling(nn.Module):
    """A layer of RealNVP: half of the numbers scale and shift the other half."""

    def __init__(self, width: int, is_first: bool) -> None:
        super().__init__()
        self.net = chained(width // 2, 48, width, act=nn.Tanh)
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.is_first = is_first

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        kept, moved = x.chunk(2, 1) if self.is_first else x.chunk(2, 1)[::-1]
        log_scale, shift = self.net(kept).chunk(2, 1)
        moved = moved * log_scale.exp() + shift
        halves = (kept, moved) if self.is_first else (moved, kept)
        return torch.cat(halves, 1), log_scale.sum(1)


class Flow(LightningModule):
    """RealNVP; ``unit`` is the deviation by which the data are divided."""

    def __init__(self, rate: float, unit: float, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Coupling(width, n % 2 == 0) for n in range(6))
        self.rate, self.unit = rate, unit

    def forward(self, x: Tensor) -> Tensor:
        z, log_det = x / self.unit, torch.full((len(x),), -x.shape[1] * math.log(self.unit))
        for layer in self.layers:
            z, more = layer(z)
            log_det = log_det + more
        return log_det - 0.5 * z.square().sum(1) - 0.5 * x.shape[1] * math.log(2 * math.pi)

    def training_step(self, batch: Any, _: int) -> Tensor:
        return -self(batch[0]).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.rate)


def flow(rate: float = 3e-3, unit: float = 0.1, steps: int = 500) -> Training:
    """Two pairs of numbers on curves; the trivial answer is a normal density of each number by itself."""
    made = torch.Generator().manual_seed(12)
    a = torch.randn(2000, 2, generator=made)
    b = a.square() - 1 + 0.3 * torch.randn(2000, 2, generator=made)
    x = unit * torch.cat([a, b], 1)
    train, test = x[:1600], x[1600:]
    normal = torch.distributions.Normal(train.mean(0), train.std(0))
    trivial = float(normal.log_prob(test).sum(1).mean())

    def score(module: LightningModule) -> float:
        return float(predicted(module, test).mean())

    return Training(Flow(rate, unit), batches(train, size=64), steps, score, trivial, trivial + 1.0)


CASES = [
    Case("vae", "VAE, KL annealed, errors summed, labels in the loader, Adam", vae),
    Case("vae_constant", "VAE, a constant weight of the KL, Adam", partial(vae, annealed=0)),
    Case("diffusion", "denoising diffusion, the last layer zero, AdamW", diffusion),
    Case("gan", "GAN, cross-entropy, manual optimization, two Adams", players),
    Case(
        "wgan_gp",
        "WGAN with gradient penalty, manual optimization",
        partial(players, 1800, rates=(3e-4, 1e-3), is_wasserstein=True, turns=2),
    ),
    Case("flow", "RealNVP of positive loss, Adam", partial(flow, unit=1.0)),
    Case("flow_negative", "RealNVP, negative from the first step, Adam", flow),
    Case("vae/lr_high", "VAE", partial(vae, 3.0), "Adam lr 3", TOO_HIGH),
    Case("vae/lr_low", "VAE", partial(vae, 1e-7), "Adam lr 1e-7", STALLED),
    Case("diffusion/lr_low", "diffusion", partial(diffusion, 1e-8), "AdamW lr 1e-8", STALLED),
    Case("diffusion/lr_high", "diffusion", partial(diffusion, 3.0), "AdamW lr 3", TOO_HIGH),
    Case("diffusion/wrong_noise", "diffusion", partial(diffusion, is_wrong=True), "the target is another noise"),
    Case(
        "diffusion/frozen_head",
        "diffusion",
        partial(diffusion, frozen=True),
        "the zero last layer is frozen",
        ("no_update", "poor_init"),
    ),
    Case("gan/lr_low", "GAN", partial(players, rates=(1e-8, 1e-8)), "lr 1e-8", STALLED),
    Case("gan/critic_only", "GAN", partial(players, swapped=True), "both optimizers hold the critic", ("no_update",)),
    Case("gan/lr_high", "GAN", partial(players, rates=(1.0, 1.0)), "Adam lr 1 for both", TOO_HIGH),
    Case(
        "wgan_gp/lr_low",
        "WGAN",
        partial(players, rates=(1e-8, 1e-4), is_wasserstein=True),
        "generator's lr 1e-8",
        STALLED,
    ),
    Case("flow/lr_high", "RealNVP", partial(flow, 3.0, 1.0), "Adam lr 3", TOO_HIGH),
    Case("flow/lr_low", "RealNVP", partial(flow, 1e-7, 1.0), "Adam lr 1e-7", STALLED),
    Case("flow_negative/lr_low", "RealNVP", partial(flow, 1e-7), "Adam lr 1e-7, loss below 0", STALLED),
    Case("flow_negative/lr_high", "RealNVP", partial(flow, 3.0), "Adam lr 3, loss below 0", TOO_HIGH),
]
