"""A pre-flight and a sweep that show themselves."""

from __future__ import annotations

import re

import pandas
import polars
import pytest
import torch
from torch import nn

import gradvitals
from gradvitals.report.tables import sweep as tables
from gradvitals.results.aggregate import fold
from gradvitals.results.record import below
from gradvitals.signal_propagation.preflight import preflight as measured
from tests.report.made import a_result, a_run

STATIC = r"<script|<style|<link|https?:|url\(|\bon\w+="
BATCH = torch.randn(32, 8, generator=torch.Generator().manual_seed(0)), torch.arange(32) % 3


def net(depth: int = 2, name: str = "fc") -> nn.Sequential:
    torch.manual_seed(0)
    layers = nn.Sequential()
    for i in range(depth):
        layers.add_module(f"{name}{i}", nn.Linear(8, 8))
        layers.add_module(f"act{i}", nn.Tanh())
    return layers


@pytest.fixture
def sweep_dir(tmp_path):
    for i, (act, best) in enumerate({"elu": 0.9, "relu": 0.5, "<b>": 0.7}.items()):
        metrics = {"val/acc": {"final": best, "best": best}}
        a_run(tmp_path / f"{i}", a_result(overrides=[f"act={act}", "seed=1"], metrics=metrics))
    return tmp_path


def test_a_preflight_is_the_same_and_shows_itself():
    found = gradvitals.preflight(net(), BATCH, nn.functional.cross_entropy)
    plain = measured(net(), BATCH, nn.functional.cross_entropy)
    assert vars(found) == vars(plain)
    text, html = str(found), found._repr_html_()
    assert [line.split()[1] for line in text.splitlines()[1:3]] == ["fc0", "fc1"]
    assert ": ".join(found.verdict) in text
    assert max(map(len, text.splitlines())) <= 120
    assert "written to" not in text
    assert html.count("<tr>") == 3
    assert f"loss {found.loss_start:.4g}, expected" in html
    assert "✓ even" in html  # the profile, which does not say that the network will learn


def test_a_preflight_of_many_layers_with_hostile_names_stays_small_and_static():
    found = gradvitals.preflight(net(80, "<img src=x onerror=alert(1)>" * 9), BATCH, nn.functional.cross_entropy)
    html = found._repr_html_()
    assert len(html) < 200_000
    assert not re.search(STATIC, html.replace("onerror=alert", ""))
    assert "<img" not in html
    assert "... 40 more" in html
    assert "vanishing" in html


def test_a_sweep_is_read_and_shows_its_table(sweep_dir):
    found = gradvitals.read_sweep(str(sweep_dir))
    assert [row.settings["act"] for row in found.rows] == ["elu", "<b>", "relu"]
    sweep = fold(below(sweep_dir))
    assert str(found) == f"{tables.text(sweep)}\n{tables.answer(sweep)}"
    html = found._repr_html_()
    assert "Best: act=elu, val/acc 0.9." in html
    assert "&lt;b&gt;" in html
    assert not re.search(STATIC + "|<b>", html)


def test_the_table_of_a_sweep_is_that_of_its_file(sweep_dir):
    found = gradvitals.read_sweep(sweep_dir)
    table = found.to_frame()
    assert isinstance(table, pandas.DataFrame)
    assert list(table.columns) == tables.as_csv(found.sweep).splitlines()[0].split(",")
    assert list(table["val/acc best mean"]) == [0.9, 0.7, 0.5]
    assert found.to_frame("polars")["act"].to_list() == ["elu", "<b>", "relu"]
    assert isinstance(found.to_frame("polars"), polars.DataFrame)


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no run in it. Expected a run directory"):
        gradvitals.read_sweep(tmp_path)
