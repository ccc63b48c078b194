"""The losses that are called: seen whoever calls them, and compared with outputs that know less, by hand arithmetic."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gradvitals.vitals.loss_calls import Constant, LossCall, LossCalls, compare, varies

X, Y = torch.linspace(-1, 1, 12).reshape(12, 1), torch.arange(12) % 3


def seen(step):
    with LossCalls() as calls:
        step()
    return calls.take()


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        (lambda out: nn.CrossEntropyLoss()(out, Y), "cross_entropy"),
        (lambda out: F.nll_loss(out.log_softmax(1), Y), "nll_loss"),
        (lambda out: nn.MSELoss()(out[:, :1], X), "mse_loss"),
        (lambda out: F.mse_loss(X, out[:, :1]), "mse_loss"),
        (lambda out: ((out[:, :1] - X) ** 2).mean(), "mse_loss"),
        (lambda out: (X - out[:, :1]).abs().sum(), "l1_loss"),
        (
            lambda out: F.binary_cross_entropy_with_logits(out[:, 0], (Y > 0).float()),
            "binary_cross_entropy_with_logits",
        ),
        (lambda out: F.gaussian_nll_loss(out[:, :1], X, out[:, 1:2].exp()), "gaussian_nll_loss"),
        (lambda out: F.triplet_margin_loss(out, out.roll(1, 0), out.roll(2, 0)), "triplet_margin_loss"),
    ],
)
def test_a_loss_is_seen_whoever_calls_it(loss, name):
    net = nn.Linear(1, 3)
    calls = seen(lambda: loss(net(X)))
    assert [call.function.__name__ for call in calls] == [name]
    assert calls[0].outputs.requires_grad


def test_what_has_no_gradient_or_is_no_loss_is_not_seen():
    net = nn.Linear(1, 1)

    def step():
        with torch.no_grad():
            F.mse_loss(net(X), X)
        (net(X) - X.mean()).pow(3).sum()
        F.mse_loss(net(X), net(X + 1))  # two views of one network

    assert seen(step) == []


def test_the_loss_is_unchanged():
    net = nn.Linear(1, 3)
    plain = F.cross_entropy(net(X), Y, label_smoothing=0.1)
    with LossCalls():
        assert torch.equal(F.cross_entropy(net(X), Y, label_smoothing=0.1), plain)


@pytest.mark.parametrize(
    ("function", "outputs", "targets", "options", "expected"),
    [
        (F.cross_entropy, torch.zeros(12, 3), Y, {}, math.log(3)),
        (
            F.cross_entropy,
            torch.zeros(4, 2),
            torch.tensor([0, 0, 0, 1]),
            {},
            0.75 * math.log(4 / 3) + 0.25 * math.log(4),
        ),
        (F.cross_entropy, torch.zeros(4, 2), torch.tensor([0, 0, -100, 1]), {}, math.log(3) - 2 / 3 * math.log(2)),
        (F.cross_entropy, torch.zeros(12, 3, 5), Y[:, None].expand(12, 5), {}, math.log(3)),
        (F.mse_loss, torch.zeros(4, 1), torch.tensor([[1.0], [1.0], [3.0], [3.0]]), {}, 1.0),
        (F.l1_loss, torch.zeros(3), torch.tensor([0.0, 1.0, 5.0]), {}, 5 / 3),
        (F.binary_cross_entropy, torch.full((4,), 0.5), torch.tensor([1.0, 0, 0, 0]), {}, 0.5623),
        (F.binary_cross_entropy_with_logits, torch.zeros(4), torch.tensor([1.0, 0, 0, 0]), {}, 0.5623),
        (F.poisson_nll_loss, torch.zeros(2), torch.tensor([1.0, 3.0]), {}, 2 - 2 * math.log(2)),
    ],
)
def test_the_loss_of_the_best_constant(function, outputs, targets, options, expected):
    loss = Constant().loss(LossCall(function, outputs, targets, (), options))
    assert loss.item() == pytest.approx(expected, abs=1e-3)


def test_the_constant_is_that_of_all_batches_so_far():
    """0 0 and then 2 2: the mean is 1, so the second batch costs 1."""
    constant = Constant()
    constant.loss(LossCall(F.mse_loss, torch.zeros(2), torch.zeros(2)))
    assert constant.loss(LossCall(F.mse_loss, torch.zeros(2), torch.full((2,), 2.0))).item() == pytest.approx(1.0)


def test_an_exchange_costs_a_net_that_knows_and_not_one_that_does_not():
    generator = torch.Generator().manual_seed(0)
    loss, constant, exchanged, _, _ = compare(LossCall(F.mse_loss, X.clone(), X), Constant(), generator)
    assert loss == 0
    assert exchanged > 0.5 * constant
    guess = LossCall(F.mse_loss, torch.zeros(12, 1), X)
    loss, constant, exchanged, variance, _ = compare(guess, Constant(), generator)
    assert exchanged == loss == pytest.approx(constant.item())
    assert variance == 0


def test_targets_that_are_all_alike_teach_nothing():
    assert not varies(LossCall(F.binary_cross_entropy_with_logits, torch.zeros(4), torch.ones(4)))
    assert varies(LossCall(F.cross_entropy, torch.zeros(12, 3), Y))


LABELS = torch.tensor([0, 1, 2, -100, 1, 0, 2, 2, 1, -100, 0, 1])
TOGETHER = {  # each with a weight of 1, with which one call is made for each exchange
    "labels, some of them ignored": (F.cross_entropy, (12, 3), LABELS, {}, {"weight": torch.ones(3)}),
    "smoothed labels": (F.cross_entropy, (12, 3), Y, {"label_smoothing": 0.2}, {"weight": torch.ones(3)}),
    "labels at places": (F.cross_entropy, (12, 3, 2), torch.stack([Y, 2 - Y], 1), {}, {"weight": torch.ones(3)}),
    "no label of 1": (F.cross_entropy, (12, 3), Y, {"ignore_index": 1}, {"weight": torch.ones(3)}),
    "squares": (F.mse_loss, (12, 1), X, {}, {"weight": torch.ones(12, 1)}),
    "logits": (F.binary_cross_entropy_with_logits, (12, 1), (X + 1) / 2, {}, {"weight": torch.ones(1)}),
}


@pytest.mark.parametrize("name", TOGETHER)
def test_exchanges_in_one_call_are_those_of_a_call_for_each(name):
    function, shape, targets, options, weight = TOGETHER[name]
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = [
        LossCall(function, outputs, targets, (), given).exchanged(torch.Generator().manual_seed(2)).tolist()
        for given in (options, options | weight)
    ]
    assert len(found[0]) == 7  # the loss as called, and six exchanges
    assert found[0] == pytest.approx(found[1], rel=1e-6)


def test_outputs_of_any_number_are_exchanged_alike(monkeypatch):
    call = LossCall(F.huber_loss, torch.linspace(0, 1, 12).reshape(12, 1), X, (), {"delta": 0.3})
    together = call.exchanged(torch.Generator().manual_seed(2))
    monkeypatch.setattr("gradvitals.vitals.loss_calls.MOST_TOGETHER", 11)
    assert call.exchanged(torch.Generator().manual_seed(2)).tolist() == pytest.approx(together.tolist(), rel=1e-6)
