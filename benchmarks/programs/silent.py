"""Faults that raise no error, each beside a twin without the fault that learns."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import torch
import torch.nn.functional as F
from like_keras import mse
from plan import Plan, Program, Tensors, adam, binary, classes, explained, sgd
from real import Case
from torch import Tensor, nn

import data
from data import Split

UNNAMED = frozenset({"bad_data", "not_learning"})  # what only a look at the data can tell


def _net(
    outputs: int = 10, inputs: int = 64, act: type[nn.Module] = nn.Tanh, last: nn.Module | None = None
) -> nn.Module:
    layers = [nn.Linear(inputs, 24), act(), nn.Linear(24, 8), act(), nn.Linear(8, 8), act(), nn.Linear(8, outputs)]
    return nn.Sequential(*layers, *([last] if last else []))


class PlainList(nn.Module):
    """The hidden layers are in a list that torch does not look into."""

    def __init__(self) -> None:
        super().__init__()
        *trunk, self.head = _net()
        self.trunk = list(trunk)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.trunk:
            x = layer(x)
        return self.head(x)


class Detached(nn.Module):
    """The trunk's output is detached."""

    def __init__(self) -> None:
        super().__init__()
        *trunk, self.head = _net()
        self.trunk = nn.Sequential(*trunk)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.trunk(x).detach())


class NewHead(nn.Module):
    """The head is made in each forward."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _net(8)

    def forward(self, x: Tensor) -> Tensor:
        return nn.Linear(8, 10)(torch.tanh(self.trunk(x)))


class LastState(nn.Module):
    """An LSTM over (batch, time, features), and a classifier of its last output."""

    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.lstm, self.head = nn.LSTM(4, 32, batch_first=batch_first), nn.Linear(32, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0][:, -1])


class EvalNorms(nn.Module):
    """BatchNorm stays in eval mode, so it passes raw inputs on."""

    def __init__(self, always_eval: bool) -> None:
        super().__init__()
        layers = [nn.Linear(64, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 24), nn.BatchNorm1d(24), nn.ReLU()]
        self.net, self.always_eval = nn.Sequential(*layers, nn.Linear(24, 10)), always_eval

    def forward(self, x: Tensor) -> Tensor:
        if self.always_eval:
            self.net.eval()
        return self.net(x)


class NeverZeroed(Program):
    """Manual optimization without ``zero_grad``."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.automatic_optimization = False

    def training_step(self, batch: Tensors, batch_idx: int) -> Tensor:
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        self.optimizers().step()  # type: ignore[union-attr]
        return loss


class Zeroed(NeverZeroed):
    """Manual optimization as it should be."""

    def training_step(self, batch: Tensors, batch_idx: int) -> Tensor:
        self.optimizers().zero_grad()  # type: ignore[union-attr]
        return super().training_step(batch, batch_idx)


def _frozen() -> nn.Module:
    net = _net()
    net.requires_grad_(False)
    net[-1].requires_grad_(True)  # type: ignore[index]
    return net


def _copied(module: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.Adam(deepcopy(module).parameters(), 5e-3)


def _integer_warmup(module: nn.Module) -> dict:
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(step, 1) // 1000)
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _warmup(module: nn.Module) -> dict:
    optimizer = torch.optim.Adam(module.parameters(), 5e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / 100, 1))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def _relabelled(labels_of: str) -> Split:
    rows = data.digits()
    x, y = rows.train
    return Split((x, y[torch.randperm(len(y))] if labels_of == "others" else torch.zeros_like(y)), rows.test)


def _large_or_not() -> Split:
    rows = data.digits()
    return Split((rows.train[0], (rows.train[1] > 4).float()), (rows.test[0], (rows.test[1] > 4).float()))


def _flat_targets() -> Split:
    rows = data.smooth(1400, 6)
    return Split((rows.train[0], rows.train[1][:, 0]), rows.test)


def _scrambled(x: Tensor) -> Tensor:
    return x.gather(1, torch.rand_like(x).argsort(1))


def _cases() -> list[Case]:
    base = Plan(data.digits, _net, F.cross_entropy, adam(5e-3), classes, batch=32, epochs=12)
    momentum = replace(base, optimizer=sgd(0.05, momentum=0.9))
    halves = Plan(_large_or_not, lambda: _net(1), _with_logits, adam(5e-3), binary(0.0), batch=32, epochs=12)
    line = Plan(lambda: data.smooth(1400, 6), lambda: _net(1, 6), mse, adam(5e-3), explained, batch=32, epochs=12)
    percent = replace(
        line, data=lambda: data.smooth(1400, 6, 20, offset=50), net=lambda: _net(1, 6, nn.ReLU), optimizer=adam(0.02)
    )
    rows = Plan(
        lambda: data.first_row(2000), lambda: LastState(True), F.cross_entropy, adam(0.01), classes, batch=32, epochs=10
    )
    norms = Plan(
        lambda: data.digits(255.0), lambda: EvalNorms(False), F.cross_entropy, adam(5e-3), classes, batch=32, epochs=8
    )
    f = frozenset
    by_hand = replace(momentum, module=Zeroed, optimizer=sgd(0.1))
    return [
        Case("copied", "optimizer of a copy's parameters", f({"no_update"}), replace(base, optimizer=_copied), base),
        Case("plain_list", "layers in a Python list", f({"no_update"}), replace(base, net=PlainList), base),
        Case("detached", "detach() in the middle", f({"no_update"}), replace(base, net=Detached), base),
        Case("frozen", "the trunk is frozen", f({"no_update"}), replace(base, net=_frozen), base),
        Case(
            *("softmax_twice", "softmax before cross-entropy", f({"head"})),
            replace(momentum, net=lambda: _net(last=nn.Softmax(1))),
            momentum,
        ),
        Case(
            *("sigmoid_twice", "sigmoid before BCEWithLogits", f({"head"})),
            replace(halves, net=lambda: _net(1, last=nn.Sigmoid())),
            halves,
        ),
        Case(
            *("softmax_of_batch", "log-softmax over the batch", f({"head"})),
            replace(base, net=lambda: _net(last=nn.LogSoftmax(0)), loss=F.nll_loss),
            base,
        ),
        Case(
            "labels_shuffled", "labels of other rows", UNNAMED, replace(base, data=lambda: _relabelled("others")), base
        ),
        Case(
            *("broadcast", "(n, 1) against (n) in MSE", f({"head"})),
            replace(line, data=_flat_targets, loss=F.mse_loss),
            line,
        ),
        Case(
            *("wrong_sign", "the loss is maximized", f({"head", "unstable"})),
            replace(base, loss=lambda output, y: -F.cross_entropy(output, y)),
            base,
        ),
        Case(
            *("rate_zero", "integer division makes the rate 0", f({"no_update", "rate_decays"})),
            replace(base, optimizer=_integer_warmup),
            replace(base, optimizer=_warmup),
        ),
        Case(
            *("never_zeroed", "gradients are never zeroed", f({"no_update", "unstable"})),
            replace(by_hand, module=NeverZeroed),
            by_hand,
        ),
        Case("new_head", "the head is made in each forward", f({"no_update"}), replace(base, net=NewHead), base),
        Case(
            *("inputs_lost", "a transform turns all pixels into 0", f({"bad_data"})),
            replace(base, augment=lambda x: (x * 0.99).to(torch.uint8).float()),
            base,
        ),
        Case(
            *("relu_logits", "ReLU on the logits", f({"head", "dead_units"})),
            replace(momentum, net=lambda: _net(last=nn.ReLU())),
            momentum,
        ),
        Case(
            *("sigmoid_percent", "sigmoid output for targets of 0 to 100", f({"head", "target_scale"})),
            replace(percent, net=lambda: _net(1, 6, nn.ReLU, nn.Sigmoid())),
            percent,
        ),
        Case(
            *("huge_targets", "targets of 1e6", f({"target_scale"})),
            replace(line, data=lambda: data.smooth(1400, 6, 1e6)),
            line,
        ),
        Case("one_label", "all labels are 0", f({"bad_data"}), replace(base, data=lambda: _relabelled("none")), base),
        Case(
            *("decay", "weight decay of 10", f({"weight_decay"})),
            replace(base, optimizer=lambda module: torch.optim.AdamW(module.parameters(), 5e-3, weight_decay=10)),
            base,
        ),
        Case(
            *("batch_first", "batch_first is forgotten", UNNAMED | {"head"}),
            replace(rows, net=lambda: LastState(False)),
            rows,
        ),
        Case(
            *("eval_norms", "BatchNorm in eval mode, raw inputs", f({"bad_data"})),
            replace(norms, net=lambda: EvalNorms(True), optimizer=sgd(0.1)),
            replace(norms, optimizer=sgd(0.1)),
        ),
        Case("scrambled", "an augmentation destroys the labels", UNNAMED, replace(base, augment=_scrambled), base),
        Case(
            *("one_unit", "softmax of one unit", f({"head"})),
            replace(halves, net=lambda: _net(1, last=nn.Softmax(1)), loss=_of_probabilities, score=binary()),
            halves,
        ),
    ]


def _with_logits(output: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy_with_logits(output[:, 0], y)


def _of_probabilities(output: Tensor, y: Tensor) -> Tensor:
    return F.binary_cross_entropy(output[:, 0], y)


KINDS = {case.name: case for case in _cases()}
