"""Metrics against scikit-learn, in batches, and where a class is missing."""

import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score, roc_auc_score

from gradvitals.metrics import METRICS, metric_collection

NAMES = ["acc", "f1", "auroc", "balanced_acc"]


def evaluated(task: str, classes: int, batches: list[tuple[torch.Tensor, torch.Tensor]]) -> dict[str, float]:
    metrics = metric_collection(task, classes, NAMES)
    for probabilities, targets in batches:
        metrics.update(probabilities, targets)
    return {name: metric.compute().item() for name, metric in metrics.items(copy_state=False)}


def in_batches(probabilities: torch.Tensor, targets: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    return [(probabilities[rows], targets[rows]) for rows in torch.arange(len(targets)).split(7)]


def test_binary_metrics_are_scikit_learns():
    targets = (torch.rand(100) < 0.2).long()
    probabilities = (0.3 * torch.rand(100) + 0.4 * targets * torch.rand(100) + 0.2).clamp(0, 1)
    guessed = (probabilities > 0.5).long()
    assert 0 < guessed.sum() < 100
    assert evaluated("binary", 2, in_batches(probabilities, targets)) == pytest.approx(
        {
            "acc": accuracy_score(targets, guessed),
            "f1": f1_score(targets, guessed),
            "auroc": roc_auc_score(targets, probabilities),
            "balanced_acc": balanced_accuracy_score(targets, guessed),
        }
    )


def test_multiclass_metrics_are_scikit_learns():
    targets = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100)]
    probabilities = (torch.randn(100, 3) + 2 * torch.nn.functional.one_hot(targets)).softmax(1)
    guessed = probabilities.argmax(1)
    assert evaluated("multiclass", 3, in_batches(probabilities, targets)) == pytest.approx(
        {
            "acc": accuracy_score(targets, guessed),
            "f1": f1_score(targets, guessed, average="macro"),
            "auroc": roc_auc_score(
                targets, probabilities.double() / probabilities.double().sum(1, True), multi_class="ovr"
            ),
            "balanced_acc": balanced_accuracy_score(targets, guessed),
        }
    )


def test_a_class_that_does_not_occur_is_left_out():
    # Two of three classes occur, and the third is guessed once. Recalls 1/2 and 1.
    probabilities = torch.tensor([[0.8, 0.1, 0.1], [0.3, 0.1, 0.6], [0.2, 0.7, 0.1], [0.1, 0.9, 0.0]])
    found = evaluated("multiclass", 3, [(probabilities, torch.tensor([0, 0, 1, 1]))])
    # F1 of the classes that occur or are guessed: 2/3, 1 and 0. Each class that occurs is ranked without a fault.
    assert found == pytest.approx({"acc": 0.75, "f1": (2 / 3 + 1 + 0) / 3, "auroc": 1.0, "balanced_acc": 0.75})


@pytest.mark.parametrize(("task", "classes"), [("binary", 2), ("multiclass", 3)])
def test_a_single_class_has_no_rank(task, classes):
    probabilities = torch.full((5,), 0.1) if task == "binary" else torch.tensor([[0.8, 0.1, 0.1]] * 5)
    found = evaluated(task, classes, [(probabilities, torch.zeros(5, dtype=torch.int64))])
    expected = {"acc": 1.0, "f1": 0.0 if task == "binary" else 1.0, "auroc": float("nan"), "balanced_acc": 1.0}
    assert found == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_what_is_counted_alike_is_counted_once_and_anew_in_each_epoch(task):
    metrics = metric_collection(task, 2, NAMES)
    right = torch.tensor([0.1, 0.9]) if task == "binary" else torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    for targets, value in ((torch.tensor([1, 0]), 0.0), (torch.tensor([0, 1]), 1.0)):
        metrics.update(right, targets)
        by_name = dict(metrics.items(copy_state=False))
        assert by_name["f1"].tp is by_name["balanced_acc"].tp
        assert {metric.compute().item() for metric in by_name.values()} == {value}
        for metric in by_name.values():  # as Lightning resets them
            metric.reset()


def test_names_that_a_task_does_not_have():
    with pytest.raises(
        ValueError, match=r"metrics: expected some of acc, f1, auroc, .*; got 'aucc'. .*metrics=\[acc,f1\]"
    ):
        metric_collection("binary", 2, ["acc", "aucc"])
    with pytest.raises(ValueError, match="metrics: expected some of r2 for a regression task; got 'f1'"):
        metric_collection("regression", 1, ["f1"])
    with pytest.raises(ValueError, match="got none"):
        metric_collection("binary", 2, [])
    assert list(METRICS["binary"]) == list(METRICS["multiclass"]) == NAMES
