"""Figures are plain values: what is drawn, what leaves a gap, and what distinguishes lines."""

import json
import math

import pytest

from gradvitals.report.pages import figures, heat_maps
from gradvitals.report.pages.figures import run_curves, run_profiles
from gradvitals.results.curves import ByLayer


def test_curves_differ_by_more_than_color():
    train, val = figures.curves([figures.Line("train", [(0, 1.0)], 0), figures.Line("val", [(0, 2.0)], 1, 1)], "loss")[
        "data"
    ]
    assert train["meta"]["color"] != val["meta"]["color"]
    assert train["marker"]["symbol"] != val["marker"]["symbol"]
    assert train["line"]["dash"] != val["line"]["dash"]


def test_what_is_not_finite_leaves_a_gap_and_valid_json():
    made = figures.curves([figures.Line("a", [(0, math.nan), (1, math.inf), (2, 1.0)])], "loss")
    assert made["data"][0]["y"] == [None, None, 1.0]
    json.dumps(made, allow_nan=False)


def test_a_long_curve_is_thinned():
    made = figures.curves([figures.Line("a", [(i, math.sin(i)) for i in range(10_000)])], "loss")
    assert len(made["data"][0]["x"]) <= figures.MOST_POINTS


def test_layers_over_steps():
    found = ByLayer(["0.a", "1.b"], list(range(100)), [[0.0, 1.0 + i] for i in range(100)])
    made = figures.by_layer_lines(found, "norm", predicted=[0.5, 1.0])
    *lines, theory = made["data"]
    assert len(lines) == figures.FEW_STEPS
    assert (lines[0]["name"], lines[-1]["name"]) == ("0", "99")
    assert lines[0]["y"] == [None, 1.0]  # a zero has no logarithm
    assert [line["meta"]["shade"] for line in lines] == sorted(line["meta"]["shade"] for line in lines)
    assert theory["line"]["dash"] == "dot"


def test_a_gradient_that_shrinks_in_all_layers_alike_keeps_its_shape():
    """As the loss of a healthy run falls to 0, and all gradients with it."""
    found = ByLayer(["0.a", "1.b"], [0, 50], [[2.0, 1.0], [2e-4, 1e-4]])
    made = figures.gradient_lines(found, predicted=[1.5, 1.0])
    assert [trace["y"] for trace in made["data"]] == [[2.0, 1.0], [2.0, 1.0], [1.5, 1.0]]
    assert made["layout"]["yaxis"]["range"] == [-2.2, 2.2]  # what counts as even
    runs = run_profiles([("a", [2e-4, 1e-4]), ("b", [1e-9, 1.0])])
    assert [trace["y"] for trace in runs["data"]] == [[2.0, 1.0], [1e-9, 1.0]]
    assert runs["layout"]["yaxis"]["range"] == [-9.2, 2.2]


def test_a_short_run_has_ticks_at_steps():
    short = figures.curves([figures.Line("a", [(0, 1.0), (3, 1.0)])], "loss")["layout"]["xaxis"]
    assert short["dtick"] == 1
    assert "dtick" not in figures.curves([figures.Line("a", [(0, 1.0), (300, 1.0)])], "loss")["layout"]["xaxis"]


def test_shares_fill_their_axis():
    found = ByLayer(["0.a"], [0], [[0.0]])
    made = figures.by_layer_lines(found, "share of units", log=False)
    assert made["layout"]["yaxis"]["range"] == [-0.03, 1.03]
    assert made["data"][0]["y"] == [0.0]


def test_a_heat_map_keeps_both_ends_and_shows_gaps():
    found = ByLayer(["00-07.a", "08-15.b"], list(range(1000)), [[None, 10.0]] * 1000)
    trace = heat_maps.by_layer_and_step([found], 50)["data"][0]
    assert (trace["x"][0], trace["x"][-1], len(trace["x"])) == ("0", "999", 50)
    assert trace["y"] == ["0-7", "8-15"]
    assert (trace["z"][0][0], trace["z"][1][0]) == (None, 1.0)


def test_runs_are_chosen_by_their_rank():
    made = run_curves([("a", [(0, 1.0), (1, 2.0)]), ("b", []), ("c" * 99, [(0, 1.0)])], "loss")
    assert [trace["meta"]["run"] for trace in made["data"]] == [0, 2]
    assert [trace["name"] for trace in made["data"]] == ["#1", "#3"]  # names too long for a legend
    assert "c" * 99 in made["data"][1]["hovertemplate"]


@pytest.mark.parametrize("name", ["<b>bold</b>", "%{x}"])
def test_plotly_reads_no_markup_in_a_name(name):
    made = run_profiles([(name, [1.0, None])])["data"][0]
    assert "<b>" not in made["name"] + made["hovertemplate"]
    assert made["hovertemplate"].count("%{") == 2  # its own places
