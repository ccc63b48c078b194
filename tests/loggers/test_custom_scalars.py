"""TensorBoard's page of custom scalars: which charts, of which tags."""

from __future__ import annotations

import re

import pytest

from gradvitals.loggers.custom_scalars import CHARTS, NAME, layout


def tags(kind: str, depth: int) -> list[str]:
    return [f"{kind}/{index:02}.net.layers.{index}" for index in range(depth)]


def test_a_chart_of_all_layers_for_each_quantity_that_is_logged():
    charts = layout([*tags("update_ratio", 2), *tags("grad_norm", 2), "grad_norm/total", "val/acc"])[NAME]
    assert list(charts) == [CHARTS["grad_norm"], CHARTS["update_ratio"]]  # in the order of CHARTS
    kind, (pattern,) = charts[CHARTS["grad_norm"]]
    assert kind == "Multiline"
    assert [tag for tag in [*tags("grad_norm", 2), "grad_norm/total", "grad_norm/input"] if re.match(pattern, tag)] == [
        "grad_norm/00.net.layers.0",
        "grad_norm/01.net.layers.1",
    ]


def test_a_quantity_does_not_match_one_that_begins_alike():
    _, (pattern,) = layout(tags("grad_norm", 2))[NAME][CHARTS["grad_norm"]]
    assert not re.match(pattern, "grad_norm_clipped/00.net")
    assert not re.match(pattern, "activation_grad_norm/00.net")


def test_every_chart_matches_the_tags_it_is_made_of():
    for kind, title in CHARTS.items():
        _, (pattern,) = layout(tags(kind, 1))[NAME][title]
        assert re.match(pattern, tags(kind, 1)[0])


@pytest.mark.parametrize("other", [tags("activation_grad_norm", 4), ["activation_grad_norm/010-019.conv"]])
def test_runs_of_other_networks_have_the_same_charts(other):
    # TensorBoard joins the charts of all runs: one of a layer would be empty for the runs without that layer.
    assert layout(other) == layout(tags("activation_grad_norm", 13))


def test_no_layer_has_no_chart():
    assert layout(["grad_norm/total", "val/loss"]) == {NAME: {}}
