"""Numbers are predicted: plain regression, counts, densities, quantiles, a differential equation."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import torch
import torch.nn.functional as F
from case import Case, Training
from lightning import LightningModule
from toolkit import (
    Loss,
    Split,
    Supervised,
    adam,
    adamw,
    batches,
    breast,
    chained,
    diabetes,
    predicted,
    r2,
    schedule,
    sgd,
    split,
)
from torch import Tensor, nn


@cache
def waves() -> Split:
    """Eight features; a smooth target of mean 0 and deviation of about 1."""
    made = torch.Generator().manual_seed(2)
    x = torch.randn(1500, 8, generator=made)
    y = torch.sin(2 * x[:, 0]) + x[:, 1] * x[:, 2] / 2 + x[:, 3] + 0.1 * torch.randn(1500, generator=made)
    return split(x, (y - y.mean()) / y.std())


@cache
def counts() -> Split:
    """Eight features and int64 counts of mean 4 or so."""
    made = torch.Generator().manual_seed(3)
    x = torch.randn(1500, 8, generator=made)
    return split(x, torch.poisson((1 + 0.8 * x[:, 0] + 0.5 * x[:, 1].abs()).clamp(max=4).exp(), made).long())


class Flat(nn.Module):
    """An MLP of one output per sample."""

    def __init__(self, *widths: int, act: Callable[[], nn.Module] = nn.ReLU, last: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = chained(*widths, 1, act=act)
        self.last = last or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x))[:, 0]


class Column(Flat):
    """The same without the last step: (n, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layers(x))


def fitted(
    data: Callable[[], Split],
    net: Callable[[], nn.Module],
    *,
    loss: Loss = F.mse_loss,
    score: Callable[[Tensor, Tensor], Callable[[LightningModule], float]] = r2,
    target: Callable[[Tensor], Tensor] = lambda y: y,
    feature: Callable[[Tensor], Tensor] = lambda x: x,
    spoil: Callable[[nn.Module], Any] | None = None,
    steps: int = 500,
    trivial: float = 0.0,
    good: float = 0.6,
    trainer: dict[str, Any] | None = None,
    **options: Any,
) -> Training:
    """Returns a training; ``target`` and ``feature`` change the data."""
    x, y, x_test, y_test = data()
    made = net()
    if spoil is not None:
        spoil(made)
    module = Supervised(made, loss, **options)
    held = feature(x_test), target(y_test)
    data = batches(feature(x), target(y))
    return Training(module, data, steps, score(*held), trivial, good, trainer or {}, held)


def poisson_d2(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of the deviance that is explained."""

    def deviance(log_mean: Tensor) -> Tensor:
        return 2 * (torch.xlogy(y, y.clamp(min=1)) - y * log_mean - y + log_mean.exp()).mean()

    constant = deviance(y.float().mean().log().expand(len(y)))
    return lambda module: float(1 - deviance(predicted(module, x)) / constant)


def sign_accuracy(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of signs that are right."""
    return lambda module: float(((predicted(module, x).flatten() > 0) == (y > 0)).float().mean())


def half_accuracy(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of probabilities on the right side of 1/2."""
    return lambda module: float(((predicted(module, x).flatten() > 0.5) == (y > 0.5)).float().mean())


def pinball_gain(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of the constant quantile's loss that is gone."""
    constant = pinball(y.quantile(0.9).expand(len(y)), y)
    return lambda module: float(1 - pinball(predicted(module, x), y) / constant)


def mean_r2(x: Tensor, y: Tensor) -> Callable[[LightningModule], float]:
    """The share of variance that the first output explains."""

    def score(module: LightningModule) -> float:
        return float(1 - F.mse_loss(predicted(module, x)[:, 0], y) / y.var(unbiased=False))

    return score


def pinball(output: Tensor, y: Tensor, level: float = 0.9) -> Tensor:
    """The quantile loss."""
    error = y - output
    return torch.maximum(level * error, (level - 1) * error).mean()


def hinge(output: Tensor, y: Tensor) -> Tensor:
    """Of labels -1 and 1."""
    return (1 - y * output).clamp(min=0).mean()


def gaussian_nll(output: Tensor, y: Tensor) -> Tensor:
    """Of a mean and a log deviation."""
    mean, log_std = output.unbind(1)
    return (0.5 * ((y - mean) * (-log_std).exp()) ** 2 + log_std + 0.5 * math.log(2 * math.pi)).mean()


def logits(output: Tensor, y: Tensor) -> Tensor:
    """Binary cross-entropy of logits."""
    return F.binary_cross_entropy_with_logits(output, y.float())


class Masked(nn.Module):
    """Missing values are filled by 0, and a mask of them goes in, too."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Flat(16, 64, 64)

    def forward(self, x: Tensor) -> Tensor:
        is_missing = x.isnan()
        return self.net(torch.cat([x.nan_to_num(), is_missing.float()], 1))


def with_gaps(x: Tensor) -> Tensor:
    """A tenth of the values is missing."""
    gaps = torch.rand(x.shape, generator=torch.Generator().manual_seed(4)) < 0.1
    return x.masked_fill(gaps, torch.nan)


class Physics(LightningModule):
    """Solves u'' = -pi^2 sin(pi x) with u(-1) = u(1) = 0."""

    def __init__(self, rate: float, with_equation: bool = True) -> None:
        super().__init__()
        self.net = chained(1, 32, 32, 1, act=nn.Tanh)
        self.rate, self.with_equation = rate, with_equation

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)

    def training_step(self, batch: Any, _: int) -> Tensor:
        x = batch[0].requires_grad_()
        slope = torch.autograd.grad(self(x).sum(), x, create_graph=True)[0]
        bend = torch.autograd.grad(slope.sum(), x, create_graph=True)[0]
        equation = (bend + math.pi**2 * torch.sin(math.pi * x)).square().mean()
        ends = self(torch.tensor([[-1.0], [1.0]])).square().mean()
        return (equation if self.with_equation else 0.0) + 10 * ends

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), self.rate)


def physics(rate: float = 3e-3, steps: int = 700, **options: Any) -> Training:
    """A physics-informed net."""
    grid = torch.linspace(-1, 1, 101)[:, None]
    exact = torch.sin(math.pi * grid)

    def score(module: LightningModule) -> float:
        return -float((predicted(module, grid) - exact).norm() / exact.norm())

    points = torch.rand(512, 1, generator=torch.Generator().manual_seed(5)) * 2 - 1
    return Training(Physics(rate, **options), batches(points, size=64), steps, score, -1.0, -0.15)


def start_at(value: float) -> Callable[[nn.Module], None]:
    """The bias of the last layer begins there."""

    def spoil(net: nn.Module) -> None:
        nn.init.constant_([m for m in net.modules() if isinstance(m, nn.Linear)][-1].bias, value)

    return spoil


def silent(net: nn.Module) -> None:
    """Biases of hidden layers are -50: no ReLU ever answers."""
    for layer in [m for m in net.modules() if isinstance(m, nn.Linear)][:-1]:
        nn.init.constant_(layer.bias, -50.0)


def shuffled(y: Tensor) -> Tensor:
    """Targets of other samples; those held out, too, so that nothing can be learnt."""
    return y[torch.randperm(len(y), generator=torch.Generator().manual_seed(6))]


MLP = partial(Flat, 8, 64, 64)
GAUSSIAN = partial(chained, 8, 64, 64, 2)
BREAST = partial(Flat, 30, 32, 32)
SIGNS: dict[str, Any] = {"loss": hinge, "target": lambda y: 2 * y - 1, "score": sign_accuracy}
SIGNS |= {"trivial": 0.63, "good": 0.9, "steps": 300}
NLL: dict[str, Any] = {"loss": gaussian_nll, "score": mean_r2, "target": lambda y: y / 20, "spoil": None}
POISSON: dict[str, Any] = {"loss": F.poisson_nll_loss, "score": poisson_d2}
QUANTILE: dict[str, Any] = {"loss": pinball, "score": pinball_gain, "good": 0.4}
BINARY: dict[str, Any] = {"loss": logits, "score": sign_accuracy, "trivial": 0.63, "good": 0.9, "steps": 300}
CHANCES: dict[str, Any] = BINARY | {"loss": lambda p, y: F.binary_cross_entropy(p, y.float()), "score": half_accuracy}


def nearly_calm(net: nn.Module) -> None:
    """The density begins at the deviation of the target, so that the loss is negative from the start."""
    nn.init.zeros_(net[-1].weight[1:])
    net[-1].bias.data.copy_(torch.tensor([0.0, math.log(0.05)]))


NLL["spoil"] = nearly_calm


def good(name: str, kind: str, data: Callable[[], Split], net: Callable[[], nn.Module], **options: Any) -> Case:
    """A case that is meant to learn."""
    return Case(name, kind, partial(fitted, data, net, **options))


def sick(name: str, fault: str, helps: str, data: Callable[[], Split], net: Callable[[], nn.Module], **o: Any) -> Case:
    """A case with a fault; ``helps``: verdicts, separated by spaces."""
    return Case(name, "regression", partial(fitted, data, net, **o), fault, tuple(helps.split()))


CASES = [
    good("regression", "MLP, Adam", waves, MLP, optimizer=adam(3e-3)),
    good("regression_sgd", "MLP, SGD with momentum", waves, MLP, optimizer=sgd(0.02, momentum=0.9)),
    good("regression_huber", "MLP, Huber loss, AdamW", waves, MLP, loss=F.huber_loss, optimizer=adamw(3e-3)),
    good(
        "regression_offset",
        "MLP, a target of mean 14 as it is, Adam",
        waves,
        MLP,
        target=lambda y: y + 14,
        optimizer=adam(5e-3),
        steps=800,
    ),
    good(
        "diabetes_raw",
        "MLP, targets from 25 to 346 as they are, Adam",
        diabetes,
        partial(Flat, 10, 64, 64),
        optimizer=adam(5e-3),
        steps=500,
        good=0.3,
    ),
    good("missing_values", "MLP that masks NaN", waves, Masked, feature=with_gaps, optimizer=adam(3e-3), good=0.5),
    good("poisson", "Poisson regression of int64 counts", counts, MLP, optimizer=adam(2e-3), **POISSON),
    good("hinge", "hinge loss, labels -1 and 1", breast, BREAST, optimizer=adam(1e-3), **SIGNS),
    good(
        "hinge_linear",
        "a linear SVM, SGD with weight decay",
        breast,
        partial(Flat, 30),
        optimizer=sgd(0.05, weight_decay=1e-3),
        **SIGNS,
    ),
    good(
        "gaussian_nll", "mean and deviation, loss below 0 from the start", waves, GAUSSIAN, optimizer=adam(2e-3), **NLL
    ),
    good("quantile", "quantile loss of level 0.9", waves, MLP, optimizer=adam(3e-3), **QUANTILE),
    good("binary", "one logit, Adam", breast, BREAST, optimizer=adam(1e-3), **BINARY),
    Case("pinn", "physics-informed, two derivatives in the loss, Adam", physics),
    sick("regression/lr_low", "Adam lr 1e-7", "stalled slow", waves, MLP, optimizer=adam(1e-7)),
    sick("regression/lr_high", "SGD lr 1", "unstable non_finite exploding", waves, MLP, optimizer=sgd(1.0)),
    sick(
        "regression/huge_targets",
        "targets of 1e6",
        "target_scale",
        waves,
        MLP,
        target=lambda y: 1e6 * (y + 3),
        optimizer=adam(1e-3),
    ),
    sick(
        "regression/column",
        "(n, 1) against (n) broadcasts",
        "head",
        waves,
        partial(Column, 8, 64, 64),
        optimizer=adam(3e-3),
    ),
    sick(
        "regression/dead_relu",
        "biases of -50 before each ReLU",
        "dead_units poor_init",
        waves,
        MLP,
        spoil=silent,
        optimizer=adam(1e-3),
    ),
    sick(
        "regression/relu_out",
        "a ReLU after the output, whose bias is -20",
        "head dead_units",
        waves,
        partial(Flat, 8, 64, 64, last=nn.ReLU()),
        spoil=start_at(-20.0),
        optimizer=adam(1e-3),
    ),
    sick(
        "regression/sigmoid_out",
        "a sigmoid after the output, targets of mean 14",
        "head",
        waves,
        partial(Flat, 8, 64, 64, last=nn.Sigmoid()),
        target=lambda y: y + 14,
        optimizer=adam(3e-3),
    ),
    sick(
        "regression/shuffled",
        "targets of other samples",
        "",
        waves,
        MLP,
        target=shuffled,
        optimizer=adam(1e-3),
        steps=300,
    ),
    sick(
        "regression/decay",
        "AdamW with weight decay 100",
        "weight_decay",
        waves,
        MLP,
        optimizer=adamw(1e-2, weight_decay=100.0),
    ),
    sick(
        "diabetes_raw/lr_low",
        "Adam lr 1e-5 on raw targets",
        "target_scale slow stalled",
        diabetes,
        partial(Flat, 10, 64, 64),
        optimizer=adam(1e-5),
        steps=400,
        good=0.3,
    ),
    sick("poisson/lr_low", "SGD lr 1e-6", "stalled slow", counts, MLP, optimizer=sgd(1e-6), **POISSON),
    sick(
        "poisson/decays_at_once",
        "the schedule is at zero after 3 steps",
        "rate_decays",
        counts,
        MLP,
        optimizer=adam(1e-3),
        scheduler=schedule(lambda step: max(0.0, 1 - step / 3)),
        **POISSON,
    ),
    sick("hinge/lr_low", "Adam lr 1e-8", "stalled slow", breast, BREAST, optimizer=adam(1e-8), **SIGNS),
    sick("gaussian_nll/lr_low", "Adam lr 1e-7", "stalled slow", waves, GAUSSIAN, optimizer=adam(1e-7), **NLL),
    sick(
        "gaussian_nll/lr_high",
        "Adam lr 3",
        "unstable exploding non_finite",
        waves,
        GAUSSIAN,
        optimizer=adam(3.0),
        **NLL,
    ),
    sick("quantile/lr_low", "Adam lr 1e-7", "stalled slow", waves, MLP, optimizer=adam(1e-7), **QUANTILE),
    sick(
        "binary/softmax_of_one",
        "softmax of one unit",
        "head",
        breast,
        partial(Flat, 30, 32, 32, last=nn.Softmax(1)),
        optimizer=adam(1e-3),
        **CHANCES,
    ),
    Case("pinn/lr_low", "physics-informed", partial(physics, 1e-7), "Adam lr 1e-7", ("stalled", "slow")),
    Case("pinn/lr_high", "physics-informed", partial(physics, 3.0), "Adam lr 3", ("unstable", "exploding")),
    Case(
        "pinn/no_equation",
        "physics-informed",
        partial(physics, with_equation=False),
        "the equation is left out of the loss",
    ),
]
