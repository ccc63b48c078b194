"""TensorBoard's page of custom scalars: which charts, of which tags."""

from __future__ import annotations

import re

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


def test_the_band_goes_from_the_first_layer_to_the_last():
    outputs = tags("activation_grad_norm", 13)
    band = layout(reversed(outputs))[NAME]["dL/dh of layer 6, band from layer 0 to 12"]
    assert band == ["Margin", [outputs[6], outputs[0], outputs[12]]]  # value, lower, upper


def test_nets_of_other_depths_have_bands_of_other_names():
    # TensorBoard joins the charts of all runs and shows them side by side.
    short, long = (set(layout(tags("activation_grad_norm", depth))[NAME]) for depth in (4, 13))
    assert short & long == {CHARTS["activation_grad_norm"]}


def test_a_band_of_blocks_is_named_by_them():
    blocks = [f"activation_grad_norm/{10 * i:03}-{10 * i + 9:03}.net" for i in range(3)]
    assert "dL/dh of layer 10-19, band from layer 0-9 to 20-29" in layout(blocks)[NAME]


def test_a_single_layer_has_no_band_and_no_layer_no_chart():
    assert list(layout(tags("activation_grad_norm", 1))[NAME]) == [CHARTS["activation_grad_norm"]]
    assert layout(["grad_norm/total", "val/loss"]) == {NAME: {}}
