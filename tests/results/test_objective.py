"""What a run is judged by: the metric, and whether lower or higher is better."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from gradvitals.results.objective import Objective, mode_of, warn_if_guessed
from gradvitals.results.record import Record
from gradvitals.results.result import Result


@pytest.mark.parametrize(
    ("tag", "mode"),
    [
        *((f"val/{name}", "min") for name in ("loss", "mae", "mse", "rmse", "error", "perplexity", "nll", "bpc")),
        *((f"val/{name}", "max") for name in ("acc", "accuracy", "r2", "f1", "auroc", "auc")),
        *((tag, "min") for tag in ("val_loss", "val/ce_loss", "trainloss", "val/MAE", "mae", "top5.error")),
        *((tag, "min") for tag in ("train/loss_epoch", "train/mae_step", "val/loss/dataloader_idx_1")),
        *((tag, None) for tag in ("val/losses_seen", "val/depth", "val/", "", "val/lossless")),
    ],
)
def test_a_metrics_name_tells_which_values_are_better(tag, mode):
    assert mode_of(tag) == mode
    assert Objective.named(tag).mode == (mode or "max")


@pytest.mark.parametrize(
    ("logged", "asked", "found"),
    [
        ({"val/r2", "val/loss"}, ("auto", "auto"), Objective("val/r2", "max")),
        ({"val/acc", "val/loss", "train/loss"}, ("auto", "auto"), Objective("val/acc", "max")),
        ({"val/loss", "train/loss"}, ("auto", "auto"), Objective("val/loss", "min")),
        ({"val/acc", "val/loss"}, ("auto", "min"), Objective("val/loss", "min")),
        ({"val/loss"}, ("auto", "max"), None),
        ({"train/loss"}, ("auto", "auto"), None),
        (set(), ("test/mae", "auto"), Objective("test/mae", "min")),
        (set(), ("val/elbo", "max"), Objective("val/elbo", "max")),
        (set(), ("val/loss", "max"), Objective("val/loss", "max")),  # a loss of one's own that rises
    ],
)
def test_the_config_and_the_metrics_resolve_to_one_objective(logged, asked, found):
    assert Objective.resolve(logged, *asked) == found


def test_a_run_that_diverged_counts_with_a_finite_penalty():
    tags = [("val/loss", "auto"), ("val/acc", "auto"), ("val/r2", "auto"), ("val/x", "max"), ("val/x", "min")]
    assert [Objective.named(*tag).worst for tag in tags] == [1e6, 0.0, -1e6, -1e6, 1e6]


@pytest.mark.parametrize("damaged", [None, [], "val/acc", {}, {"tag": "val/x", "mode": "up"}, {"mode": ["min"]}])
def test_a_result_without_a_whole_objective_falls_back_to_the_config(damaged):
    result = Result.from_json({"objective": damaged, "metrics": {"val/loss": {"best": 1.0}}})
    assert Record(Path("x"), result).objective == Objective("val/loss", "min")
    asked = {"objective": "val/x", "objective_mode": "min"}
    assert Record(Path("x"), result, config=asked).objective == Objective("val/x", "min")


def test_only_a_mode_that_nothing_tells_is_reported(caplog):
    for told in (("auto", "auto"), ("val/mae", "auto"), ("val/acc", "auto"), ("val/elbo", "max")):
        warn_if_guessed(*told)
    assert not caplog.records
    with caplog.at_level(logging.WARNING):
        warn_if_guessed("val/elbo", "auto")
    assert "objective=val/elbo" in caplog.text
    assert "objective_mode=min or max" in caplog.text


def test_a_balanced_accuracy_is_an_accuracy():
    assert Objective.named("val/balanced_acc") == Objective("val/balanced_acc", "max")
    assert Objective.named("val/balanced_acc").worst == 0.0
