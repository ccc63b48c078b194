"""Losses in which the classes have weights, by hand."""

import math

import pytest
import torch
import torch.nn.functional as F

from gradvitals.classifier import Classifier
from gradvitals.data.tensors import balanced_weights
from gradvitals.losses import loss_function
from gradvitals.vitals.batch import best_constant

CLASSES = {
    ("multiclass", "ce"): 3,
    ("multiclass", "bce"): 3,
    ("multiclass", "mse"): 3,
    ("binary", "bce"): 2,
    ("binary", "mse"): 2,
}
each_loss = pytest.mark.parametrize(("task", "name"), CLASSES)


def outputs_of(task: str, samples: int) -> torch.Tensor:
    return torch.randn(samples, 3 if task == "multiclass" else 1)


def test_weighted_losses_by_hand():
    # Equal logits: log 2 for either class, and sigmoid 1/2 is off by 1/2.
    zeros, y = torch.zeros(4, 1), torch.tensor([0, 0, 0, 1])
    assert balanced_weights(y, 2) == [4 / (2 * 3), 4 / (2 * 1)]
    weights = [2 / 3, 2.0]
    assert loss_function("binary", "bce", weights)(zeros, y).item() == pytest.approx(math.log(2))
    assert loss_function("binary", "mse", weights)(zeros, y).item() == pytest.approx(0.25)
    # An odds ratio of 3 for the second class everywhere: probabilities 1/4 and 3/4.
    threes = torch.full((4, 1), math.log(3))
    expected = (3 * 2 / 3 * math.log(4) + 2 * math.log(4 / 3)) / 4
    assert loss_function("binary", "bce", weights)(threes, y).item() == pytest.approx(expected)
    assert loss_function("binary", "mse", weights)(threes, y).item() == pytest.approx(
        (3 * 2 / 3 * 9 / 16 + 2 * 1 / 16) / 4
    )
    two = torch.cat([torch.zeros(4, 1), threes], 1)
    assert loss_function("multiclass", "ce", weights)(two, y).item() == pytest.approx(expected)
    # One-hot: the first output is off by 1/2, the second one has probability 3/4.
    first, second = math.log(2), (math.log(4), math.log(4 / 3))
    one_hot = (3 * 2 / 3 * (first + second[0]) / 2 + 2 * (first + second[1]) / 2) / 4
    assert loss_function("multiclass", "bce", weights)(two, y).item() == pytest.approx(one_hot)
    one_hot = (3 * 2 / 3 * (1 / 4 + 9 / 16) / 2 + 2 * (1 / 4 + 1 / 16) / 2) / 4
    assert loss_function("multiclass", "mse", weights)(two, y).item() == pytest.approx(one_hot)


def test_balanced_weights_of_all_samples_give_torchs_weighted_mean():
    y = torch.tensor([0] * 17 + [1] * 5 + [2] * 2)
    weights, outputs = balanced_weights(y, 3), outputs_of("multiclass", len(y))
    expected = F.cross_entropy(outputs, y, weight=torch.tensor(weights))
    assert loss_function("multiclass", "ce", weights)(outputs, y).item() == pytest.approx(expected.item())


@each_loss
def test_the_mean_over_batches_is_the_loss_of_all_samples(task, name):
    y = torch.arange(64) % CLASSES[task, name]
    y[:48] = 0  # so that batches differ in their classes
    outputs, loss = outputs_of(task, 64), loss_function(task, name, balanced_weights(y, CLASSES[task, name]))
    batches = [loss(outputs[rows], y[rows]).item() for rows in torch.arange(64).split(8)]
    assert sum(batches) / 8 == pytest.approx(loss(outputs, y).item(), rel=1e-5)


@each_loss
def test_equal_weights_change_nothing(task, name):
    y = torch.arange(12) % CLASSES[task, name]
    outputs = outputs_of(task, 12)
    weighted = loss_function(task, name, [1.0] * CLASSES[task, name])(outputs, y)
    torch.testing.assert_close(weighted, loss_function(task, name)(outputs, y))


def test_the_best_constant_of_a_balanced_loss_knows_no_class_better_than_another():
    y = (torch.arange(1000) % 100 == 0).long()
    weights = balanced_weights(y, 2)
    assert best_constant(loss_function("binary", "bce", weights), y, 1) == pytest.approx(math.log(2), rel=1e-4)
    assert best_constant(loss_function("multiclass", "ce", weights), y, 2) == pytest.approx(math.log(2), rel=1e-4)
    assert best_constant(loss_function("binary", "mse", weights), y, 1) == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("precision", [torch.float64, torch.bfloat16])
def test_the_weights_have_the_precision_of_the_network(precision):
    module = Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 3, class_weight=[0.5, 1.0, 2.0]).to(precision)
    loss = module.loss(module(torch.randn(6, 4, dtype=precision)), torch.arange(6) % 3)
    assert loss.dtype == precision
    assert "loss.weight" not in module.state_dict()


def test_weights_that_cannot_be():
    with pytest.raises(ValueError, match="class_weight: expected None for a regression"):
        loss_function("regression", "auto", [1.0])
    with pytest.raises(ValueError, match=r"class_weight: expected positive numbers; got \[1.0, 0.0\]"):
        loss_function("binary", "auto", [1.0, 0.0])
    with pytest.raises(ValueError, match="class_weight: expected 3 numbers, one of each class; got 2"):
        Classifier({"_target_": "gradvitals.nets.mlp.MLP"}, 4, 3, class_weight=[1.0, 2.0])


@pytest.mark.parametrize("name", ["ce", "bce", "mse"])
@pytest.mark.parametrize("weights", [None, [1.0, 0.5, 2.0]])
def test_each_step_of_a_sequence_counts_as_a_sample(name, weights):
    loss, outputs, y = loss_function("multiclass", name, weights), torch.randn(4, 5, 3), torch.arange(20).view(4, 5) % 3
    by_step = torch.stack([loss(outputs[:, step], y[:, step]) for step in range(5)])
    torch.testing.assert_close(loss(outputs, y), by_step.mean())


def test_the_classes_of_sequences_are_the_last_axis_and_of_images_the_second():
    loss = loss_function("multiclass")
    steps = torch.tensor([[[0.0, math.log(3)], [0.0, 0.0]]])  # probabilities 1/4 and 3/4, then 1/2
    assert loss(steps, torch.tensor([[1, 0]])).item() == pytest.approx((math.log(4 / 3) + math.log(2)) / 2)
    image, y = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4))
    torch.testing.assert_close(loss(image, y), F.cross_entropy(image, y))
