"""Tables: clicks, rare events, ratings, survival, counts, and the small sets of scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from case import Case, Training
from cases.supervised import (
    ADAM,
    Batch,
    ByHand,
    OfCopy,
    Optimizer,
    Rate,
    Supervised,
    accuracy,
    adam,
    adamw,
    auc,
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

CLICKS_ADAM = adam(5e-4)


def bce(net: nn.Module, batch: Batch) -> Tensor:
    """Returns the binary cross-entropy of one logit."""
    return F.binary_cross_entropy_with_logits(net(batch[0])[:, 0], batch[1])


def entropy(net: nn.Module, batch: Batch) -> Tensor:
    """Returns the cross-entropy of classes."""
    return F.cross_entropy(net(batch[0]), batch[1])


def squares(net: nn.Module, batch: Batch) -> Tensor:
    """Returns the mean squared error of one output."""
    return F.mse_loss(net(batch[0])[:, 0], batch[1])


def clicks(
    optimizer: Optimizer = CLICKS_ADAM, steps: int = 1200, *, scramble: bool = False, sigmoid_twice: bool = False
) -> Training:
    """Trains an MLP on clicks that are noisy: the best log loss is a twelfth below that of the base rate."""
    x = torch.randn(40_000, 16, generator=dice())
    w = torch.randn(16, generator=dice(1)) / 4
    p = (0.8 * x @ w + 0.3 * (x[:, 0] * x[:, 1]) - 1.2).sigmoid()
    y = (torch.rand(len(x), generator=dice(2)) < p).float()
    train, held = split(x, y)
    if scramble:
        train[1] = shuffled(train[1])
    net = mlp(16, 32, 32, 1)
    if sigmoid_twice:
        net.append(nn.Sigmoid())

    @torch.no_grad()
    def score(module: LightningModule) -> float:
        share = held[1].mean()
        base = F.binary_cross_entropy(share.expand(len(held[1])), held[1])
        return max(-1.0, 1 - (bce(module.eval().net, held).nan_to_num(9) / base).item())

    return Training(Supervised(net, bce, optimizer), loader(*train, batch=128), steps, score, 0.0, 0.04, held=held)


def fraud(
    one_in: int = 100, weight: float = 1.0, optimizer: Optimizer = ADAM, *, steps: int = 600, scale: float = 1.0
) -> Training:
    """Trains an MLP to find the few positives."""
    n = 60_000
    y = (torch.rand(n, generator=dice()) < 1 / one_in).float()
    x = (torch.randn(n, 12, generator=dice(1)) + y[:, None] * torch.randn(12, generator=dice(2)).sign()) * scale
    train, held = split(x, y)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        outputs = net(batch[0])[:, 0]
        return F.binary_cross_entropy_with_logits(outputs, batch[1], pos_weight=torch.tensor(weight))

    module = Supervised(mlp(12, 32, 1), loss, optimizer)
    return Training(
        module, loader(*train, batch=128), steps, lambda m: auc(predicted(m, held[0]), held[1]), 0.5, 0.9, held=held
    )


def tags(optimizer: Optimizer = ADAM, *, relu: bool = False, steps: int = 600) -> Training:
    """Trains an MLP on 20 labels, each of which 3 % of the samples have."""
    x = torch.randn(12_000, 40, generator=dice())
    y = ((x @ torch.randn(40, 20, generator=dice(1)) / 40**0.5) > 1.88).float()
    train, held = split(x, y)
    net = mlp(40, 96, 20)
    if relu:
        net.append(nn.ReLU())

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(net(batch[0]), batch[1])

    def score(module: LightningModule) -> float:
        outputs = predicted(module, held[0])
        return sum(auc(outputs[:, k], held[1][:, k]) for k in range(20)) / 20

    return Training(Supervised(net, loss, optimizer), loader(*train), steps, score, 0.5, 0.85, held=held)


class Ratings(nn.Module):
    """Two tables of factors and two of biases."""

    def __init__(self, sparse: bool, std: float):
        super().__init__()
        self.users, self.items = nn.Embedding(200, 8, sparse=sparse), nn.Embedding(150, 8, sparse=sparse)
        self.user_bias, self.item_bias = nn.Embedding(200, 1, sparse=sparse), nn.Embedding(150, 1, sparse=sparse)
        for table, spread in ((self.users, std), (self.items, std), (self.user_bias, 0), (self.item_bias, 0)):
            nn.init.normal_(table.weight, std=spread)

    def forward(self, user: Tensor, item: Tensor) -> Tensor:
        product = (self.users(user) * self.items(item)).sum(-1)
        return product + self.user_bias(user)[:, 0] + self.item_bias(item)[:, 0]


def ratings(
    sparse: bool = True, std: float = 0.3, optimizer: Optimizer | None = None, scramble: bool = False
) -> Training:
    """Trains a matrix factorisation."""
    n = 20_000
    user, item = torch.randint(200, (n,), generator=dice()), torch.randint(150, (n,), generator=dice(1))
    u, v = torch.randn(200, 3, generator=dice(2)), torch.randn(150, 3, generator=dice(3))
    y = (u[user] * v[item]).sum(-1) / 3**0.5 + 0.3 * torch.randn(n, generator=dice(4))
    train, held = split(user, item, y)
    if scramble:
        train[2] = shuffled(train[2])

    def sparse_adam(parameters: Any) -> torch.optim.Optimizer:
        return torch.optim.SparseAdam(list(parameters), lr=1e-2)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.mse_loss(net(batch[0], batch[1]), batch[2])

    module = Supervised(Ratings(sparse, std), loss, optimizer or (sparse_adam if sparse else adam(1e-2)))
    score = lambda m: explained(predicted(m, held[0], held[1]), held[2])  # noqa: E731
    return Training(module, loader(*train, batch=128), 900, score, 0.0, 0.5, held=held)


def survival(
    sign: float = 1.0, optimizer: Optimizer = ADAM, *, scramble: bool = False, module: type = Supervised
) -> Training:
    """Trains an MLP on Cox's partial likelihood; a third of the times are censored."""
    x = torch.randn(6000, 10, generator=dice())
    risk = x @ torch.randn(10, generator=dice(1)) / 2
    time = -torch.rand(6000, generator=dice(2)).log() / risk.exp()
    end = -torch.rand(6000, generator=dice(3)).log() * 2
    train, held = split(x, torch.minimum(time, end), (time < end).float())
    if scramble:
        train[0] = shuffled(train[0])

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        order = batch[1].argsort(descending=True)
        h, event = net(batch[0])[order, 0], batch[2][order]
        return -sign * ((h - h.logcumsumexp(0)) * event).sum() / event.sum()

    def score(trained: LightningModule) -> float:
        h = predicted(trained, held[0])[:, 0].nan_to_num(0, 0, 0)
        comparable = (held[1][:, None] < held[1][None]) & (held[2][:, None] > 0)
        right = (h[:, None] > h[None]).float() + 0.5 * (h[:, None] == h[None]).float()
        return right[comparable].mean().item()

    return Training(module(mlp(10, 32, 1), loss, optimizer), loader(*train, batch=64), 500, score, 0.5, 0.7, held=held)


def counts(
    log_input: bool = True, optimizer: Optimizer = ADAM, *, scale: float = 1.0, constant: bool = False
) -> Training:
    """Trains an MLP on counts, with the Poisson likelihood."""
    x = torch.randn(8000, 8, generator=dice())
    rate = (x @ torch.randn(8, generator=dice(1)) / 4 + 0.7).exp()
    y = torch.poisson(rate, generator=dice(2)).long()
    train, held = split(x * scale * (not constant), y)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.poisson_nll_loss(net(batch[0])[:, 0], batch[1], log_input=log_input, eps=0.0)

    def score(module: LightningModule) -> float:
        h = predicted(module, held[0])[:, 0]
        return explained(h.exp() if log_input else h, held[1].float())

    return Training(Supervised(mlp(8, 32, 1), loss, optimizer), loader(*train), 500, score, 0.0, 0.25, held=held)


def ordinal(optimizer: Optimizer = ADAM, module: type = Supervised) -> Training:
    """Trains an MLP on five ordered grades as four thresholds."""
    x = torch.randn(6000, 10, generator=dice())
    value = x @ torch.randn(10, generator=dice(1)) / 3 + 0.3 * torch.randn(6000, generator=dice(2))
    y = torch.bucketize(value, torch.tensor([-1.2, -0.4, 0.4, 1.2]))
    train, held = split(x, y)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        above = (batch[1][:, None] > torch.arange(4)).float()
        return F.binary_cross_entropy_with_logits(net(batch[0]), above)

    def score(trained: LightningModule) -> float:
        return ((predicted(trained, held[0]) > 0).sum(1) == held[1]).float().mean().item()

    most = torch.bincount(held[1]).max().item() / len(held[1])
    return Training(module(mlp(10, 32, 4), loss, optimizer), loader(*train), 500, score, most, 0.6, held=held)


def small(
    name: str,
    optimizer: Optimizer = ADAM,
    *,
    net: Callable[[int, int], nn.Module] = lambda inputs, classes: mlp(inputs, 32, 32, classes),
    scale: float = 1.0,
    raw: bool = False,
    scramble: bool = False,
    good: float = 0.88,
    steps: int = 600,
    rate: Rate | None = None,
    module: type = Supervised,
    loss: Callable[[nn.Module, Batch], Tensor] = entropy,
) -> Training:
    """Trains a net on one of the classified sets of scikit-learn."""
    data = getattr(datasets, f"load_{name}")()
    x, y = torch.tensor(data.data).float(), torch.tensor(data.target).long()
    x = x * scale if raw else (x - x.mean(0)) / (x.std(0) + 1e-6) * scale
    train, held = split(x, y)
    if scramble:
        train[1] = shuffled(train[1])
    classes = int(y.max()) + 1
    made = module(net(x.shape[1], classes), loss, optimizer, rate)
    most = torch.bincount(held[1]).max().item() / len(held[1])
    return Training(
        made, loader(*train, batch=32), steps, lambda m: accuracy(predicted(m, held[0]), held[1]), most, good, held=held
    )


def sigmoids(inputs: int, classes: int, depth: int = 20) -> nn.Module:
    """Makes a net of many sigmoid layers."""
    return mlp(inputs, *[32] * depth, classes, act=nn.Sigmoid)


def with_softmax(inputs: int, classes: int) -> nn.Module:
    """Makes a net that ends in a softmax."""
    return mlp(inputs, 32, 32, classes).append(nn.Softmax(1))


def with_relu(inputs: int, classes: int) -> nn.Module:
    """Makes a net that ends in a ReLU which is off."""
    net = mlp(inputs, 32, 32, classes).append(nn.ReLU())
    nn.init.constant_(net[-2].bias, -8.0)
    return net


def with_dropout(inputs: int, classes: int) -> nn.Module:
    """Makes a net with dropout of 99 %."""
    wide = [nn.Linear(inputs, 32), nn.ReLU(), nn.Dropout(0.99), nn.Linear(32, 32), nn.ReLU(), nn.Dropout(0.99)]
    return nn.Sequential(*wide, nn.Linear(32, classes))


def last_bias_only(inputs: int, classes: int) -> nn.Module:
    """Makes a net of which all but the last bias is frozen."""
    net = mlp(inputs, 32, 32, classes).requires_grad_(False)
    net[-1].bias.requires_grad_(True)
    return net


class Cut(nn.Module):
    """A net whose hidden layer is detached after it was multiplied by nearly nothing."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.body, self.head = mlp(inputs, 32, 32), nn.Linear(32, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(x).relu().detach() * 1e-3)


class Listed(nn.Module):
    """A net whose layers are in a plain list, bottlenecked to one unit, so that the optimizer has but the head."""

    def __init__(self, inputs: int, classes: int):
        super().__init__()
        self.layers = [nn.Linear(inputs, 32), nn.Linear(32, 32), nn.Linear(32, 1)]
        self.head = nn.Linear(1, classes)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x).tanh()
        return self.head(x)


def missing(mask: bool = True) -> Training:
    """Trains an MLP on a table with a third of the values missing."""
    y = torch.randint(3, (6000,), generator=dice())
    x = torch.randn(3, 15, generator=dice(1))[y] + torch.randn(6000, 15, generator=dice(2))
    x[torch.rand(x.shape, generator=dice(3)) < 0.3] = torch.nan
    train, held = split(x, y)
    net = mlp(30, 48, 3)

    class Masking(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            known = x.isfinite() if mask else torch.ones_like(x)
            return self.net(torch.cat([x.nan_to_num(0) if mask else x, known.float()], 1))

    return Training(
        Supervised(Masking(), entropy, ADAM),
        loader(*train),
        500,
        lambda m: accuracy(predicted(m, held[0]), held[1]),
        1 / 3,
        0.85,
        held=held,
    )


class Years(nn.Module):
    """A net that gives years: the mean and spread of the targets are part of it."""

    def __init__(self, mean: float, spread: float):
        super().__init__()
        self.body, self.mean, self.spread = mlp(12, 48, 1), mean, spread

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x) * self.spread + self.mean


def years(scaled: bool = True, optimizer: Optimizer = ADAM, *, broadcast: bool = False, sign: float = 1.0) -> Training:
    """Trains an MLP on years as integers."""
    x = torch.randn(8000, 12, generator=dice())
    value = (x @ torch.randn(12, generator=dice(1)) / 3).tanh() + 0.2 * torch.randn(8000, generator=dice(2))
    train, held = split(x, (1985 + 15 * value).round().long())

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        outputs = net(batch[0]) if broadcast else net(batch[0])[:, 0]
        return sign * F.mse_loss(outputs, batch[1].float())

    net = Years(1985.0, 10.0) if scaled else Years(0.0, 1.0)
    score = lambda m: explained(predicted(m, held[0])[:, 0], held[1].float())  # noqa: E731
    return Training(Supervised(net, loss, optimizer), loader(*train), 500, score, 0.0, 0.6, held=held)


def anomaly(
    optimizer: Optimizer = ADAM, *, depth: int = 1, act: type[nn.Module] = nn.Tanh, module: type = Supervised
) -> Training:
    """Trains an autoencoder on normal rows alone, each with the label 0."""
    z = torch.randn(6000, 4, generator=dice())
    x = (z @ torch.randn(4, 20, generator=dice(1))).tanh() + 0.05 * torch.randn(6000, 20, generator=dice(2))
    train, (held,) = split(x, torch.zeros(6000).long())[0], split(x)[1]
    column = torch.stack([torch.randperm(len(held), generator=dice(k)) for k in range(20)], 1)
    odd = held.gather(0, column)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return F.mse_loss(net(batch[0]), batch[0])

    def score(trained: LightningModule) -> float:
        error = [(predicted(trained, rows) - rows).square().mean(1) for rows in (held, odd)]
        return auc(torch.cat(error), torch.arange(2).repeat_interleave(len(held)))

    inside = [24] * depth
    net = mlp(20, *inside, 4, *inside, 20, act=act)
    return Training(module(net, loss, optimizer), loader(*train), 700, score, 0.5, 0.9)


class Tasks(nn.Module):
    """One body with heads for the digit, its parity and the ink."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
        self.digit, self.odd, self.ink = nn.Linear(64, 10), nn.Linear(64, 1), nn.Linear(64, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.body(x)
        return torch.cat([self.digit(h), self.odd(h), self.ink(h)], 1)


def tasks(ink_scale: float = 1.0, optimizer: Optimizer = ADAM) -> Training:
    """Trains it on digits; the batch carries the ink before the digit."""
    data = datasets.load_digits()
    x, y = torch.tensor(data.data).float() / 16, torch.tensor(data.target).long()
    ink = (x.mean(1) - x.mean()) / x.mean(1).std() * ink_scale
    train, held = split(x, ink, y)

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        h, digit = net(batch[0]), batch[2]
        parity = F.binary_cross_entropy_with_logits(h[:, 10], digit.remainder(2).float())
        return F.cross_entropy(h[:, :10], digit) + parity + F.mse_loss(h[:, 11], batch[1])

    score = lambda m: accuracy(predicted(m, held[0])[:, :10], held[2])  # noqa: E731
    return Training(Supervised(Tasks(), loss, optimizer), loader(*train), 500, score, 0.1, 0.88, held=held)


def ranks(sign: float = 1.0, optimizer: Optimizer = ADAM, *, rate: Rate | None = None) -> Training:
    """Trains an MLP to score the better of two higher."""
    x = torch.randn(6000, 2, 10, generator=dice())
    w = torch.randn(10, generator=dice(1)) / 2
    worth = (x @ w) + (x[..., 0] * x[..., 1])
    better = torch.where((worth[:, :1] > worth[:, 1:])[..., None], x, x.flip(1))
    train, held = split(better[:, 0], better[:, 1])

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        return sign * F.softplus(net(batch[1]) - net(batch[0])).mean()

    def score(module: LightningModule) -> float:
        better, worse = predicted(module, held[0]), predicted(module, held[1])
        return ((better > worse).float() + 0.5 * (better == worse).float()).mean().item()

    return Training(Supervised(mlp(10, 32, 1), loss, optimizer, rate), loader(*train), 500, score, 0.5, 0.8, held=held)


class TabTransformer(nn.Module):
    """A transformer over the embeddings of eight categories."""

    def __init__(self, std: float = 1.0):
        super().__init__()
        self.table, self.token = nn.Embedding(80, 32), nn.Parameter(torch.randn(1, 1, 32))
        nn.init.normal_(self.table.weight, std=std)
        layer = nn.TransformerEncoderLayer(32, 4, 64, 0.0, batch_first=True, norm_first=True)
        self.blocks, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 1)

    def forward(self, categories: Tensor) -> Tensor:
        h = self.table(categories + 10 * torch.arange(8))
        return self.head(self.blocks(torch.cat([self.token.expand(len(h), -1, -1), h], 1))[:, 0])


def categories(optimizer: Optimizer = ADAM, module: type = Supervised, scramble: bool = False) -> Training:
    """Trains it on a label that sums what the categories weigh."""
    x = torch.randint(10, (10_000, 8), generator=dice())
    weight = torch.randn(8, 10, generator=dice(1))
    y = (weight[torch.arange(8), x].sum(1) > 0).float()
    train, held = split(x, y)
    if scramble:
        train[1] = shuffled(train[1])
    made = module(TabTransformer(), bce, optimizer)
    return Training(made, loader(*train), 500, lambda m: auc(predicted(m, held[0]), held[1]), 0.5, 0.9, held=held)


def mixture(optimizer: Optimizer = ADAM, *, scale: float = 1.0) -> Training:
    """Trains a mixture density network on a target with two branches."""
    x = torch.rand(6000, 1, generator=dice()) * 4 - 2
    branch = torch.randint(2, x.shape, generator=dice(1)) * 2 - 1
    y = branch * (x.square() / 2 + 0.3) + 0.1 * torch.randn(x.shape, generator=dice(2))
    train, held = split(x, y[:, 0] * scale)

    def density(net: nn.Module, batch: Batch) -> Tensor:
        weight, mean, log_std = net(batch[0]).chunk(3, 1)
        normal = torch.distributions.Normal(mean, log_std.exp(), validate_args=False)
        return (weight.log_softmax(1) + normal.log_prob(batch[1][:, None])).logsumexp(1)

    def score(module: LightningModule) -> float:
        with torch.no_grad():
            return max(-10.0, density(module.eval().net, held).mean().nan_to_num(-10).item())

    module = Supervised(mlp(1, 48, 15, act=nn.Tanh), lambda net, batch: -density(net, batch).mean(), optimizer)
    return Training(module, loader(*train), 700, score, -1.55, -0.4, held=held)


def gaussian(optimizer: Optimizer = ADAM) -> Training:
    """Trains a net that gives mean and variance of a nearly noiseless wave: the loss runs below 0."""
    x = torch.rand(6000, 1, generator=dice()) * 6 - 3
    train, held = split(x, x[:, 0].sin() * 0.3 + 0.03 * torch.randn(6000, generator=dice(1)))

    def loss(net: nn.Module, batch: Batch) -> Tensor:
        mean, variance = net(batch[0]).unbind(1)
        return F.gaussian_nll_loss(mean, batch[1], F.softplus(variance - 2))

    score = lambda m: explained(predicted(m, held[0])[:, 0], held[1])  # noqa: E731
    return Training(
        Supervised(mlp(1, 32, 32, 2, act=nn.Tanh), loss, optimizer), loader(*train), 600, score, 0.0, 0.7, held=held
    )


def halves(step: int) -> float:
    """Returns a rate that halves at each step."""
    return 0.5**step


def nothing(_: int) -> float:
    """Returns a rate of zero, as an integer division in a warm-up gives it."""
    return 0.0


CLICKS, FRAUD, TAGS = "click rates, MLP, BCE", "rare events, MLP, BCE", "20 tags of 3 %, MLP, BCE"
FACTORS, BREAST, WINE, IRIS = "matrix factorisation", "breast cancer, MLP", "wine, MLP", "iris, MLP"
YEARS, DIGITS = "years as numbers, MLP, MSE", "digits, MLP"
CASES = [
    Case("clicks", f"{CLICKS}, Adam 5e-4", clicks),
    Case("clicks_slow", f"{CLICKS}, Adam 1e-4", partial(clicks, adam(1e-4), 3000)),
    Case("clicks_sgd", f"{CLICKS}, SGD", partial(clicks, sgd(0.1, momentum=0.9))),
    Case("fraud_100", f"{FRAUD}, 1 in 100", fraud),
    Case("fraud_1000", f"{FRAUD}, 1 in 1000", partial(fraud, 1000, 1.0, adam(1e-2), steps=1500)),
    Case("fraud_weighted", f"{FRAUD}, 1 in 100, weighted", partial(fraud, 100, 50.0)),
    Case("tags", f"{TAGS}, Adam", tags),
    Case("ratings_sparse", f"{FACTORS}, SparseAdam", ratings),
    Case("ratings_dense", f"{FACTORS}, Adam", partial(ratings, False)),
    Case("survival", "Cox's partial likelihood, MLP", survival),
    Case("counts", "counts, MLP, Poisson NLL", counts),
    Case("grades", "ordered grades, MLP, BCE of thresholds", ordinal),
    Case("breast", f"{BREAST}, Adam", partial(small, "breast_cancer")),
    Case("wine", f"{WINE}, Adam", partial(small, "wine")),
    Case(
        "wine_tanh",
        f"{WINE} with tanh, SGD",
        partial(small, "wine", sgd(0.1), net=lambda i, c: mlp(i, 32, c, act=nn.Tanh)),
    ),
    Case("iris", f"{IRIS}, Adam", partial(small, "iris", net=lambda i, c: mlp(i, 16, c))),
    Case(
        "iris_by_hand",
        f"{IRIS}, manual optimization that returns nothing",
        partial(small, "iris", net=lambda i, c: mlp(i, 16, c), module=ByHand),
    ),
    Case("missing", "table with NaN that the net masks, MLP", missing),
    Case("years", YEARS, years),
    Case("anomaly_detection", "autoencoder for anomalies, all labels 0", anomaly),
    Case("tasks", "digit, parity and ink, three heads", tasks),
    Case("ranks", "pairwise ranking, MLP", ranks),
    Case("categories", "transformer over categories, Adam", categories),
    Case("mixture", "mixture density network, NLL", mixture),
    Case("gaussian", "Gaussian NLL, below 0", gaussian),
    Case("clicks/lr_high", CLICKS, partial(clicks, sgd(20.0)), "SGD lr 20", ("unstable", "exploding", "dead_units")),
    Case("clicks/lr_low", CLICKS, partial(clicks, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case("clicks/shuffled", CLICKS, partial(clicks, scramble=True), "labels are shuffled", ("not_learning",)),
    Case(
        "clicks/sigmoid_twice", CLICKS, partial(clicks, sigmoid_twice=True), "sigmoid before BCEWithLogits", ("head",)
    ),
    Case(
        "fraud/base_rate",
        FRAUD,
        partial(fraud, 1000, 1.0, sgd(3e-4)),
        "SGD 3e-4 learns that everything is fine",
        ("not_learning", "slow", "stalled"),
    ),
    Case(
        "fraud/raw",
        FRAUD,
        partial(fraud, 100, 1.0, sgd(0.1), scale=1e4),
        "features of 1e4, SGD",
        ("bad_data", "unstable", "exploding"),
    ),
    Case(
        "tags/base_rate",
        TAGS,
        partial(tags, sgd(0.01)),
        "SGD 0.01 learns the base rates alone",
        ("not_learning", "slow", "stalled"),
    ),
    Case("tags/relu", TAGS, partial(tags, relu=True), "a ReLU after the logits", ("head", "dead_units")),
    Case("ratings/zeros", FACTORS, partial(ratings, std=0.0), "both tables of factors are zero", ("poor_init",)),
    Case(
        "ratings/lr_low", FACTORS, partial(ratings, optimizer=sgd(0.05)), "SGD 0.05 on rare rows", ("slow", "stalled")
    ),
    Case("ratings/shuffled", FACTORS, partial(ratings, scramble=True), "ratings are shuffled", ("not_learning",)),
    Case(
        "survival/wrong_sign",
        "Cox, MLP",
        partial(survival, -1.0),
        "the likelihood is minimized",
        ("not_learning", "unstable", "head"),
    ),
    Case("survival/shuffled", "Cox, MLP", partial(survival, scramble=True), "rows of other people", ("not_learning",)),
    Case(
        "survival/copied",
        "Cox, MLP",
        partial(survival, module=OfCopy),
        "the optimizer has the parameters of a copy",
        ("no_update",),
    ),
    Case(
        "counts/not_logs",
        "counts, Poisson NLL",
        partial(counts, log_input=False),
        "log_input=False for an output that may be negative",
        ("head", "non_finite", "unstable"),
    ),
    Case(
        "counts/constant",
        "counts, Poisson NLL",
        partial(counts, constant=True),
        "every input is zero",
        ("bad_data", "not_learning"),
    ),
    Case(
        "counts/raw",
        "counts, Poisson NLL",
        partial(counts, scale=1e4),
        "features of 1e4",
        ("bad_data", "unstable", "exploding", "non_finite"),
    ),
    Case("grades/lr_low", "ordered grades, MLP", partial(ordinal, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case("breast/sigmoids", BREAST, partial(small, "breast_cancer", net=sigmoids), "20 sigmoid layers", ("vanishing",)),
    Case(
        "breast/decay",
        BREAST,
        partial(small, "breast_cancer", adamw(1e-2, weight_decay=100.0)),
        "weight decay 100",
        ("weight_decay",),
    ),
    Case(
        "breast/decay_sgd",
        BREAST,
        partial(small, "breast_cancer", sgd(0.1, weight_decay=3.0)),
        "weight decay 3 under SGD",
        ("weight_decay",),
    ),
    Case(
        "breast/bias_only",
        BREAST,
        partial(small, "breast_cancer", net=last_bias_only),
        "all but the last bias is frozen",
        ("no_update",),
    ),
    Case(
        "breast/shuffled",
        BREAST,
        partial(small, "breast_cancer", scramble=True),
        "labels are shuffled",
        ("not_learning",),
    ),
    Case(
        "digits/softmax",
        DIGITS,
        partial(small, "digits", sgd(0.01), net=with_softmax),
        "softmax before cross-entropy, SGD",
        ("head",),
    ),
    Case(
        "wine/raw",
        WINE,
        partial(small, "wine", sgd(0.1), raw=True, scale=100.0),
        "raw features up to 1e5",
        ("bad_data", "unstable", "dead_units", "exploding"),
    ),
    Case(
        "wine/relu",
        WINE,
        partial(small, "wine", net=with_relu),
        "a ReLU after the logits, off from the start",
        ("head", "dead_units"),
    ),
    Case(
        "wine/decays",
        WINE,
        partial(small, "wine", sgd(0.05), rate=halves),
        "the rate is halved at each step",
        ("rate_decays",),
    ),
    Case(
        "wine/zero_rate",
        WINE,
        partial(small, "wine", rate=nothing),
        "the warm-up gives 0 for ever",
        ("no_update", "stalled", "rate_decays"),
    ),
    Case("iris/dropout", IRIS, partial(small, "iris", net=with_dropout), "dropout 0.99", ("not_learning",)),
    Case("iris/cut", IRIS, partial(small, "iris", net=Cut), "hidden layers are detached", ("no_update",)),
    Case(
        "iris/by_hand_lr_low",
        f"{IRIS}, nothing returned",
        partial(small, "iris", adam(1e-7), module=ByHand),
        "Adam lr 1e-7",
        ("stalled", "slow"),
    ),
    Case("digits/listed", DIGITS, partial(small, "digits", net=Listed), "layers in a plain list", ("no_update",)),
    Case(
        "digits/lr_high",
        DIGITS,
        partial(small, "digits", adam(3.0)),
        "Adam lr 3",
        ("unstable", "dead_units", "exploding"),
    ),
    Case(
        "missing/unmasked",
        "table with NaN, MLP",
        partial(missing, False),
        "the mask is forgotten",
        ("bad_data", "non_finite"),
    ),
    Case("years/raw", YEARS, partial(years, False), "targets about 1985, output about 0", ("target_scale",)),
    Case("years/broadcast", YEARS, partial(years, broadcast=True), "targets (n,) against outputs (n, 1)", ("head",)),
    Case(
        "years/wrong_sign",
        YEARS,
        partial(years, sign=-1.0),
        "the error is maximized",
        ("unstable", "not_learning", "exploding", "head"),
    ),
    Case(
        "anomaly_detection/sigmoids",
        "autoencoder",
        partial(anomaly, depth=6, act=nn.Sigmoid),
        "14 sigmoid layers",
        ("vanishing",),
    ),
    Case("anomaly_detection/lr_low", "autoencoder", partial(anomaly, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
    Case(
        "tasks/ink",
        "digit, parity and ink",
        partial(tasks, 1e4, sgd(0.01)),
        "the ink's targets are of 1e4, SGD",
        ("target_scale",),
    ),
    Case(
        "ranks/wrong_sign",
        "pairwise ranking",
        partial(ranks, -1.0),
        "the worse is scored higher and the loss runs off",
        ("not_learning", "unstable", "head"),
    ),
    Case(
        "ranks/lr_high",
        "pairwise ranking",
        partial(ranks, optimizer=sgd(300.0)),
        "SGD lr 300",
        ("unstable", "dead_units", "exploding"),
    ),
    Case(
        "categories/lr_high",
        "transformer over categories",
        partial(categories, adamw(3.0)),
        "AdamW lr 3",
        ("unstable", "exploding"),
    ),
    Case(
        "categories/copied",
        "transformer over categories",
        partial(categories, module=OfCopy),
        "the optimizer has a copy",
        ("no_update",),
    ),
    Case(
        "mixture/lr_high",
        "mixture density network",
        partial(mixture, adam(3.0)),
        "Adam lr 3",
        ("unstable", "saturated", "non_finite", "exploding"),
    ),
    Case(
        "mixture/raw",
        "mixture density network",
        partial(mixture, scale=1e4),
        "targets of 1e4",
        ("target_scale", "non_finite", "unstable"),
    ),
    Case("gaussian/lr_low", "Gaussian NLL", partial(gaussian, adam(1e-7)), "Adam lr 1e-7", ("stalled", "slow")),
]
