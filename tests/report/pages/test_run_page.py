"""The page of one run: it opens with the verdict and what to do, and says what was not measured."""

import json

import pytest

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.report.pages.run_page import run_page
from gradvitals.results.record import read
from tests.counting import python_calls
from tests.report.made import FINDING, a_result, a_run, some_vitals, with_curves
from tests.tabular.made import CHURN, HOSTILE


def text_of(folder):
    return run_page(read(folder), with_remedy).partition("<body>")[2]


def test_it_opens_with_the_verdict_and_what_to_do(tmp_path):
    page = text_of(with_curves(a_run(tmp_path / "r")))
    places = [
        page.index(words)
        for words in (
            "</span>vanishing</span></h1>",
            "At step 50: layer 0 receives 1e-06 of layer 3&#x27;s gradient (as theory predicts)",
            "What to do</h2>",
            "python src/train.py seed=1 act=elu init=auto</pre>",  # act.slope was sigmoid's
            "python src/train.py act=sigmoid act.slope=2 seed=1 model=bn</code>",
            "python src/cure.py act=sigmoid act.slope=2 seed=1</pre>",
            "Curves</h2>",
            "dL/dh by layer and step",
            "Clipping</h2>",
            "Activation std",
            "Update-to-weight ratio",
            "Config</h2>",
            "Environment</h2>",
        )
    ]
    assert places == sorted(places)
    assert "Dead units: none in any layer" in page


def test_without_curves_the_first_and_the_last_numbers_are_drawn(tmp_path):
    page = text_of(a_run(tmp_path / "r"))
    assert "There are no curves: no logger of this run wrote files" in page
    assert '"name":"100"' in page
    assert "Nothing was clipped" in page


def test_what_was_not_monitored_is_one_line(tmp_path):
    folder = a_run(tmp_path / "r", a_result(verdict=None, clipped_fraction=None), vitals={})
    page = text_of(folder)
    assert "This run was not monitored" in page
    assert "Not measured" in page
    assert "Activations and updates" not in page
    assert 'class="plot"' not in page


def test_a_healthy_run_has_nothing_to_do(tmp_path):
    vitals = some_vitals(verdict="healthy", findings=[], remedies=[], step=None)
    page = text_of(a_run(tmp_path / "r", a_result(verdict="healthy"), vitals))
    assert "✓</span>healthy" in page
    assert "Nothing: the gradients reach every layer" in page


@pytest.mark.parametrize(
    ("verdict", "severity", "mark", "to_do"),
    [
        (
            "undecided",
            None,
            '<span class="marked undecided"><span class="mark" aria-hidden="true">?',
            "A longer run may",
        ),
        ("not_learning", 0.9, '<span class="marked bad"><span class="mark" aria-hidden="true">✕', "No cause was found"),
    ],
)
def test_an_outcome_without_a_cause_is_repeated_with_its_reason(tmp_path, verdict, severity, mark, to_do):
    vitals = some_vitals(
        verdict=verdict, severity=severity, findings=[], remedies=[], step=None, reason="fewer than 50 steps"
    )
    config = "trainer:\n  max_epochs: 1\n"
    page = text_of(a_run(tmp_path / "r", a_result(verdict=verdict), vitals, config))
    assert f"<h1>{mark}" in page
    section = page.partition("What to do</h2>")[2].partition("</section>")[0]
    assert section.startswith(f"<p>{mark}</span>{verdict}</span>: fewer than 50 steps</p>")
    assert to_do in section
    assert ("seed=1 trainer.max_epochs=5</pre>" in section) == (verdict == "undecided")


def test_what_only_code_mends_is_told_as_advice(tmp_path):
    finding = FINDING | {"rule": "no_update", "advice": "Give the optimizer self.parameters()."}
    vitals = some_vitals(verdict="no_update", findings=[finding], remedies=[])
    assert "Give the optimizer self.parameters()." in text_of(
        a_run(tmp_path / "r", a_result(verdict="no_update"), vitals)
    )


def test_a_monitored_run_that_was_never_measured_is_undecided(tmp_path):
    config = "monitor:\n  _target_: gradvitals.GradientVitals\n"
    page = text_of(a_run(tmp_path / "r", a_result(verdict=None), vitals={}, config=config))
    assert "A longer run may decide it" in page
    assert "not monitored" not in page.partition("What to do")[0]


@pytest.mark.parametrize("end", [0, 70])
def test_without_curves_only_measured_steps_are_drawn(tmp_path, end):
    page = text_of(a_run(tmp_path / "r", vitals=some_vitals(measured={"start": 0, "end": end})))
    assert "Gradient by layer" in page
    assert '"name":"100"' not in page
    assert ('"name":"70"' in page) == ("dL/dh by layer and step" in page) == (end == 70)


@pytest.mark.parametrize("status", ["diverged", "failed", "interrupted"])
def test_a_run_that_did_not_end_well_says_so_first(tmp_path, status):
    page = text_of(a_run(tmp_path / "r", a_result(status=status, reason="no <space>")))
    headline = page.partition("<h1>")[2].partition("</h1>")[0]
    assert status in headline
    assert "vanishing" in headline
    assert f"{status}: no &lt;space&gt;" in page


def test_what_was_not_finite_is_told_with_its_place(tmp_path):
    metrics = {"val/acc": {"best": 0.1, "final": 0.1}, "val/loss": {"best": 2.3, "final": None}}
    place = {"step": 7, "where": "the output of net.head"}
    page = text_of(a_run(tmp_path / "r", a_result(status="diverged", metrics=metrics, non_finite=place)))
    assert "Not finite from step 7 on: the output of net.head." in page
    assert '<td class="number">not finite</td>' in page


def test_a_killed_run_can_be_resumed(tmp_path):
    folder = a_run(tmp_path / "a run")
    (folder / "result.json").unlink()
    (folder / "vitals.json").unlink()
    assert f"resume={folder}" in text_of(folder)


def test_an_interrupted_run_can_be_resumed(tmp_path):
    folder = a_run(tmp_path / "a run")
    file = folder / "result.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"status": "interrupted", "verdict": "healthy"}))
    (folder / "vitals.json").unlink()
    assert f"resume={folder}" in text_of(folder)


def test_an_empty_folder_still_makes_a_page(tmp_path):
    assert "missing" in text_of(tmp_path)


def test_every_layer_as_a_table(tmp_path):
    page = text_of(a_run(tmp_path / "r"))
    assert page.count("<td>net.") == 4
    assert 'data-value="1e-06"' in page


def test_a_page_is_small_and_quick(tmp_path):
    record = read(with_curves(a_run(tmp_path / "r")))
    assert len(run_page(record, with_remedy)) < 3e6  # packs Plotly once
    assert python_calls(lambda: run_page(record, with_remedy)) < 20_000  # about 5,000, or 0.03 s on a laptop


def test_the_table_is_a_section_with_the_commands_of_its_remarks(tmp_path):
    folder = a_run(tmp_path / "r", a_result(table=CHURN.to_dict(), overrides=["data=csv", "data.drop=[CustomerID]"]))
    page = text_of(folder)
    for words in (
        "Table</h2>",
        "13 left out",
        "To change it:",
        "python src/train.py data=csv &#x27;data.drop=[CustomerID]&#x27; &#x27;data.missing=[-999]&#x27;</pre>",
        "python src/train.py data=csv &#x27;data.drop=[CustomerID,&quot;Monthly charge",
        "73.4%",
        '<span style="width:36.2%">',
        "monthly 400, yearly 200, two years 100",
    ):
        assert words in page
    assert "Table</h2>" not in text_of(a_run(tmp_path / "digits"))


def test_a_hostile_or_damaged_table_stays_text(tmp_path):
    remark = {"text": HOSTILE, "setting": "a='open"}
    hostile = CHURN.to_dict() | {"target": HOSTILE, "classes": {HOSTILE: 1}, "remarks": [remark]}
    page = text_of(a_run(tmp_path / "r", a_result(table=hostile)))
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "\x1b" not in page
    column = CHURN.to_dict()["columns"][0] | {"missing": "x"}
    others = ({"rows": "many"}, {"classes": {"a": "b"}}, {"splits": 1}, {"columns": [column]}, {"remarks": ["x"]})
    for i, damaged in enumerate(others):
        page = text_of(a_run(tmp_path / str(i), a_result(table=CHURN.to_dict() | damaged)))
        assert "has a shape that is not known" in page
    assert "Table</h2>" not in text_of(a_run(tmp_path / "text", a_result(table="x")))


def test_test_metrics_of_training_rows_say_so(tmp_path):
    remark = "test/ is of the training rows: these data have no test rows of their own."
    assert remark in text_of(a_run(tmp_path / "a", a_result(tested_on="train")))
    assert remark not in text_of(a_run(tmp_path / "b", a_result(tested_on="test")))
