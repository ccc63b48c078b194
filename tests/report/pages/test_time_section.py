"""The page's section of the gradient through time."""

from __future__ import annotations

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.diagnosis.time_profile import TimeNorms
from gradvitals.report.pages.run_page import run_page
from gradvitals.report.pages.time_section import through_time, time_lines
from gradvitals.results.record import read
from tests.report.made import a_run, some_vitals

MEASURED = [
    {"step": 0, "steps": 5, "norms": [1e-9, 1e-6, 1e-4, 1e-2, 1.0]},
    {"step": 50, "steps": 5, "norms": [0.0, 1e-3, 1e-2, 1e-1, 1.0]},
]
LAYER = {"layer": "net.<b>", "factor_predicted": 0.25, "measured": MEASURED}


def vitals(*layers: dict) -> dict:
    return some_vitals(through_time=list(layers))


def test_a_page_says_what_arrives_at_the_first_steps(tmp_path):
    page = run_page(read(a_run(tmp_path / "r", vitals=vitals(LAYER))), with_remedy)
    assert "Gradient through time</h2>" in page
    assert "At step 0, the first step of 5 receives 1e-09 of the last one&#x27;s gradient." in page
    assert "Theory expects a factor of 0.25 per time step." in page
    assert "dL/dx of net.&lt;b&gt; by time step and training step" in page
    assert "net.<b>" not in page


def test_a_shorter_sequence_ends_where_the_others_end():
    made = time_lines({0: TimeNorms(2, (0.5, 1.0)), 1: TimeNorms(3, (1.0, 2.0, 3.0))}, factor=0.5)
    assert [trace["x"] for trace in made["data"]] == [[1, 2], [0, 1, 2], [1, 2]]


def test_one_measured_step_has_no_heat_map(tmp_path):
    layer = LAYER | {"measured": MEASURED[:1], "factor_predicted": None}
    found = str(through_time(read(a_run(tmp_path / "r", vitals=vitals(layer)))))
    assert "by time step" in found
    assert "training step" not in found
    assert "Theory expects" not in found


def test_a_network_without_recurrent_layers_has_no_section(tmp_path):
    for name, content in (("old", some_vitals()), ("none", vitals()), ("unmeasured", vitals(LAYER | {"measured": []}))):
        assert through_time(read(a_run(tmp_path / name, vitals=content))) is None
