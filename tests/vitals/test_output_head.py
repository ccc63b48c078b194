"""Output, loss and target: each fault, beside the same head without it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from gradvitals.vitals.loss_calls import LossCalls
from gradvitals.vitals.output_head import head_faults

X, X1 = torch.randn(16, 3, requires_grad=True), torch.randn(16, 1, requires_grad=True)
Y, T = torch.arange(16) % 3, torch.linspace(0, 1, 16).reshape(16, 1)
MULTI = torch.tensor([1.0, 1.0, 0.0]).expand(16, 3)


def normalized(p: torch.Tensor) -> torch.Tensor:
    """The logarithm of what is divided by its sum, as Keras does with what it takes for probabilities."""
    return (p / p.sum(1, keepdim=True)).clamp(1e-7, 1 - 1e-7).log()


@pytest.mark.filterwarnings("ignore:Using a target size")
@pytest.mark.parametrize(
    ("faulty", "sound", "kind"),
    [
        (lambda: F.mse_loss(X1.softmax(1), T), lambda: F.mse_loss(X1.sigmoid(), T), "one_unit"),
        (lambda: F.nll_loss(X.log_softmax(0), Y), lambda: F.nll_loss(X.log_softmax(1), Y), "over_batch"),
        (lambda: F.cross_entropy(X.softmax(1), Y), lambda: F.cross_entropy(X.log_softmax(1), Y), "activation"),
        (lambda: F.cross_entropy(X.relu(), Y), lambda: F.cross_entropy(X, Y), "activation"),
        (
            lambda: F.nll_loss((X.sigmoid() + 1e-7).log(), Y),
            lambda: F.nll_loss((X.softmax(1) + 1e-7).log(), Y),
            "activation",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(X1.sigmoid(), T),
            lambda: F.binary_cross_entropy(X1.sigmoid(), T),
            "activation",
        ),
        (lambda: F.mse_loss(X1.sigmoid(), 100 * T), lambda: F.mse_loss(X1, 100 * T), "out_of_reach"),
        (
            lambda: F.binary_cross_entropy_with_logits(X1[:, 0], Y.float()),
            lambda: F.binary_cross_entropy_with_logits(X1[:, 0], (Y > 1).float()),
            "not_probabilities",
        ),
        (lambda: F.mse_loss(X1, T[:, 0]), lambda: F.mse_loss(X1[:, 0], T[:, 0]), "broadcast"),
        (lambda: F.mse_loss(X.softmax(1), MULTI), lambda: F.mse_loss(X.softmax(1), MULTI / 2), "not_exclusive"),
        (lambda: F.nll_loss(X.softmax(1), Y), lambda: F.nll_loss(X.log_softmax(1), Y), "not_log"),
        (lambda: F.nll_loss(normalized(X), Y), lambda: F.nll_loss(normalized(X.softmax(1)), Y), "not_log"),
        (lambda: F.nll_loss(normalized(X.sigmoid()), Y), lambda: F.nll_loss(normalized(X.exp()), Y), "activation"),
        (lambda: F.cross_entropy(X.relu(), Y), lambda: F.cross_entropy(X, Y), "cut_off"),
        (lambda: F.nll_loss(normalized(X.relu().softmax(1)), Y), lambda: F.cross_entropy(X, Y), "cut_off"),
        (
            lambda: F.binary_cross_entropy_with_logits(X, F.one_hot(Y, 3).float()),
            lambda: F.binary_cross_entropy_with_logits(X, MULTI),
            "exclusive",
        ),
    ],
)
def test_a_fault_of_the_head(faulty, sound, kind):
    assert kind in found(faulty)
    assert found(sound) == {}


def found(step) -> dict[str, float]:
    with LossCalls() as calls:
        step()
    (call,) = calls.take()
    return {fault.kind: fault.share.item() for fault in head_faults(call) if fault.share > 0}


def test_the_share_of_samples_whose_class_a_relu_cut_off():
    logits = torch.tensor([[-1.0, 2.0], [3.0, -1.0], [1.0, -1.0], [-1.0, -1.0]], requires_grad=True)
    shares = found(lambda: F.cross_entropy(logits.relu(), torch.tensor([0, 0, 1, 1])))
    assert shares["cut_off"] == 0.75  # all but the second
