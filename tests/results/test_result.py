"""The content of result.json, written and read back."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest

from gradvitals.results.objective import Objective
from gradvitals.results.result import FirstNonFinite, MetricSummary, Parameters, Result
from gradvitals.results.status import Status

WHOLE = Result(
    status=Status.DIVERGED,
    reason="ended by its verdict: exploding",
    verdict="exploding",
    overrides=["act=elu"],
    seed=1,
    weights="logs/a/last.ckpt",
    metrics={"val/loss": MetricSummary(None, 0.25)},
    objective=Objective("val/loss", "min"),
    steps=40,
    epochs=2,
    seconds=1.5,
    samples_per_second=100.0,
    clipped_fraction=0.5,
    skipped_steps=3,
    non_finite=FirstNonFinite(30, "net.0"),
    parameters=Parameters(10, 0, 4),
    tested_on="train",
    baseline=0.25,
    table={"rows": 150, "target": "species", "remarks": []},
    versions={"torch": "2.6.0"},
    git="abc+",
)


def test_what_is_written_is_read_back(tmp_path):
    WHOLE.write(tmp_path)
    assert Result.read(tmp_path) == WHOLE
    assert all(getattr(WHOLE, each.name) != getattr(Result(), each.name) for each in fields(Result))


def test_the_keys_of_the_file_are_those_that_scripts_read(tmp_path):
    WHOLE.write(tmp_path)
    content = json.loads((tmp_path / "result.json").read_text())
    assert list(content) == [
        *("status", "reason", "verdict", "overrides", "seed", "weights", "metrics", "objective", "steps", "epochs"),
        *("seconds", "samples_per_second", "clipped_fraction", "skipped_steps", "non_finite", "parameters"),
        *("tested_on", "baseline", "table", "versions", "git"),
    ]
    assert content["status"] == "diverged"
    assert content["metrics"] == {"val/loss": {"final": None, "best": 0.25}}
    assert content["objective"] == {"tag": "val/loss", "mode": "min"}
    assert content["non_finite"] == {"step": 30, "where": "net.0"}
    assert content["parameters"] == {"trained": 10, "frozen": 0, "statistics": 4}
    assert content["table"] == {"rows": 150, "target": "species", "remarks": []}


def test_the_file_has_finite_numbers_alone(tmp_path):
    replace(WHOLE, seconds=math.nan, metrics={"val/loss": MetricSummary(math.inf, 1.0)}).write(tmp_path)
    found = Result.read(tmp_path)
    assert (found.seconds, found.metrics["val/loss"]) == (None, MetricSummary(None, 1.0))


def test_results_of_other_versions_are_read():
    older = {"status": "completed", "metrics": {"val/acc": {"best": 0.9}, "val/loss": None}, "parameters": {}}
    found = Result.from_json(older | {"from_the_future": 1, "skipped_steps": None, "overrides": None})
    assert found == Result(
        Status.COMPLETED,
        metrics={"val/acc": MetricSummary(best=0.9), "val/loss": MetricSummary()},
        parameters=Parameters(),
    )
    assert Result.from_json({"status": "some other"}).status is Status.MISSING
    assert Result.from_json({"status": ["completed"]}).status is Status.MISSING


@pytest.mark.parametrize("damaged", [None, [], "val/acc", {}, {"tag": "val/x", "mode": "up"}, {"mode": ["min"]}])
def test_an_objective_that_is_not_whole_is_none(damaged):
    assert Result.from_json({"objective": damaged}).objective is None


@pytest.mark.parametrize("content", [b"", b'{"status": "comp', b"[]", b"null", b"\xff"])
def test_a_torn_result_is_missing(tmp_path, content):
    assert Result.read(tmp_path) == Result()
    (tmp_path / "result.json").write_bytes(content)
    assert Result.read(tmp_path) == Result()
    assert Result.read(tmp_path).status is Status.MISSING


def test_the_value_of_an_objective():
    accuracy = Objective("val/acc", "max")
    run = Result(Status.FAILED, metrics={"val/acc": MetricSummary(0.5, 0.75)})
    assert run.value_of(accuracy) == 0.75
    assert replace(run, status=Status.DIVERGED).value_of(accuracy) == 0.0
    assert run.value_of(Objective("val/loss", "min")) is None
    assert Result().value_of(accuracy) is None


@pytest.mark.parametrize(
    ("status", "is_over", "is_lost", "counts", "precedence"),
    [
        ("completed", True, False, True, 3),
        ("stopped", True, False, True, 3),
        ("diverged", True, False, False, 3),
        ("failed", False, False, False, 2),
        ("interrupted", False, True, False, 1),
        ("missing", False, True, False, 0),
    ],
)
def test_what_a_status_says(status, is_over, is_lost, counts, precedence):
    found = Status(status)
    assert (found.is_over, found.is_lost, found.counts, found.precedence) == (is_over, is_lost, counts, precedence)
    assert found == status
    assert f"{found:<12}|" == f"{status:<12}|"
