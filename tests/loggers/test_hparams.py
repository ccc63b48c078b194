"""The hyperparameters of a sweep in TensorBoard's own HTTP interface, which the page HPARAMS calls."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gradvitals.app.config.schema import RULES
from tests.browser.conftest import tensorboard
from tests.conftest import ROOT

VALUES = {  # of every kind, and some strings that options are called by
    float: [-1, 0, 0.5, 1, 2, 16, 32, 64, 128],
    bool: [True, False],
    str: [
        "auto",
        "none",
        "default",
        "warn",
        "best",
        "zeros",
        "simple",
        "norm",
        "16-mixed",
        "0:1:0:0",
        [1, 2],
        {"a": 1},
    ],
}
Ask = Callable[..., dict[str, Any]]


def asked(address: str, route: str, **request: Any) -> dict[str, Any]:
    """The answer to a request as the page sends it; anything but HTTP 200 is an error."""
    headers = {"Content-Type": "application/json"}
    call = urllib.request.Request(f"{address}data/plugin/hparams/{route}", json.dumps(request).encode(), headers)
    with urllib.request.urlopen(call, timeout=60) as answer:
        return json.loads(answer.read())


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Asks a TensorBoard about a sweep in which numbers are null, and a number is a string, in some of the jobs."""
    folder = tmp_path_factory.mktemp("sweep")
    words = ["clip=none,norm", "trainer.devices=1,auto", "trainer.accelerator=cpu", "trainer.max_epochs=1"]
    call = [sys.executable, str(ROOT / "src/train.py"), "-m", *words]
    subprocess.run(call, cwd=folder, check=True, capture_output=True, timeout=240)
    with tensorboard(folder) as address:
        yield partial(asked, address)


def rows(ask: Ask, **column: Any) -> list[dict[str, Any]]:
    statuses = [f"STATUS_{name}" for name in ("UNKNOWN", "SUCCESS", "FAILURE", "RUNNING")]
    found = ask("session_groups", allowedStatuses=statuses, startIndex=0, sliceSize=100, colParams=[column])
    return found["sessionGroups"] if found["totalSize"] else []


def values(found: list[dict[str, Any]], name: str) -> list[Any]:
    return [row["hparams"].get(name) for row in found]


def columns(ask: Ask) -> dict[str, str]:
    infos = ask("experiment")["hparamInfos"]
    return {info["name"]: info["type"] for info in infos}


def test_every_column_is_sorted_both_ways(ask):
    for name in columns(ask):
        up = values(rows(ask, hparam=name, order="ORDER_ASC"), name)
        down = values(rows(ask, hparam=name, order="ORDER_DESC"), name)
        assert len(up) == len(down) == 4
        present = [value for value in up if value is not None]
        assert present == sorted(present)
        assert [value for value in down if value is not None] == present[::-1]
        assert up[len(present) :] == down[len(present) :] == [None] * (4 - len(present))  # missing ones last


def test_null_among_numbers_is_missing_and_a_number_among_strings_a_string(ask):
    assert values(rows(ask, hparam="clip.val", order="ORDER_ASC"), "clip.val") == [1, 1, None, None]
    assert (
        values(rows(ask, hparam="trainer.devices", order="ORDER_DESC"), "trainer.devices") == ["auto"] * 2 + ["1"] * 2
    )
    kinds = columns(ask)
    assert (kinds["clip.val"], kinds["trainer.devices"]) == ("DATA_TYPE_FLOAT64", "DATA_TYPE_STRING")


@pytest.mark.parametrize(("low", "high", "kept"), [(0.5, "Infinity", 2), (1.5, "Infinity", 0), ("-Infinity", 1, 2)])
def test_a_column_with_null_is_filtered(ask, low, high, kept):
    chosen = {"filterInterval": {"minValue": low, "maxValue": high}}
    assert values(rows(ask, hparam="clip.val", excludeMissingValues=True, **chosen), "clip.val") == [1] * kept
    assert len(rows(ask, hparam="clip.val", **chosen)) == kept + 2  # runs without a value stay, as TensorBoard decides


def test_every_column_of_numbers_is_filtered(ask):
    numeric = [name for name, kind in columns(ask).items() if kind == "DATA_TYPE_FLOAT64"]
    assert len(numeric) > 20
    for name in numeric:
        everything = {"minValue": "-Infinity", "maxValue": "Infinity"}
        assert len(rows(ask, hparam=name, filterInterval=everything)) == 4
        assert set(values(rows(ask, hparam=name, filterInterval={"minValue": 1e30, "maxValue": 1e31}), name)) <= {None}


def test_metrics_are_real_and_sorted(ask):
    for tag in ("val/acc", "vitals/severity"):
        found = rows(ask, metric={"tag": tag, "group": ""}, order="ORDER_ASC")
        shown = [metric["value"] for row in found for metric in row["metricValues"] if metric["name"]["tag"] == tag]
        assert shown == sorted(shown)
        assert tag != "val/acc" or (len(shown) == 4 and shown[0] > 0.5)


def test_the_kind_of_a_key_is_that_of_every_value_it_accepts():
    for key, rule in RULES.items():
        accepted = {kind for kind, some in VALUES.items() if any(map(rule.accepts, some))}
        assert accepted <= {rule.kind} or rule.kind is str, key
    assert {RULES[key].kind for key in ("clip.val", "seed", "trainer.max_epochs", "model.reach")} == {float}
    assert {RULES[key].kind for key in ("data.shuffle", "trainer.benchmark")} == {bool}
    assert {RULES[key].kind for key in ("trainer.devices", "init.bias", "optimizer.fused", "model.norm")} == {str}
