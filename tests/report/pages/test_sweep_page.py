"""The page of a sweep: the answer first, then what each key does."""

import math
import re
from pathlib import Path

from gradvitals.report.pages.sweep_page import sweep_page
from gradvitals.report.panels import panels, scale_of
from gradvitals.results.aggregate import fold
from gradvitals.results.record import Record
from gradvitals.results.result import Result
from tests.report.made import a_result, some_vitals


def run(model, act, seed, best, status="completed", **values):
    overrides = [f"model={model}", f"act={act}", f"seed={seed}"]
    metrics = {"val/acc": {"best": best, "final": best}} if best is not None else {}
    result = a_result(status=status, overrides=overrides, seed=seed, metrics=metrics, verdict="healthy", **values)
    return Record(Path(f"{model}_{act}_{seed}"), Result.from_json(result), some_vitals(), {}, overrides)


def a_sweep():
    good = {("bn", "elu"): 0.9, ("bn", "relu"): 0.8, ("plain", "elu"): 0.6, ("plain", "relu"): 0.5}
    return [run(*names, seed, best + seed / 50) for names, best in good.items() for seed in (0, 1)]


def test_it_opens_with_the_answer():
    page = sweep_page(fold(a_sweep()))
    assert "8 runs of 4 configurations, 2 seeds: 8 completed" in page
    assert "<h1>Best val/acc: 0.91 ± 0.014</h1>" in page
    assert "model=bn act=elu</code>, mean ± sd of 2 runs" in page
    assert "python src/train.py model=bn act=elu seed=0</pre>" in page
    assert "2 of 2" in page


def test_each_key_has_its_effect_on_one_scale():
    page = sweep_page(fold(a_sweep()))
    assert "Best and worst value differ by 0.3." in page  # bn over plain
    assert "Best and worst value differ by 0.1." in page  # elu over relu
    ranges = re.findall(r'"range":(\[[^]]*\])', page.partition("What each key does</h2>")[2])
    assert len(ranges) >= 2
    assert ranges[0] == ranges[1]


def test_two_keys_together():
    page = sweep_page(fold(a_sweep()))
    assert '"z":[[0.91,0.81],[0.61,0.51]]' in page
    assert '"x":["act=elu","act=relu"]' in page


def test_what_failed_says_why_and_leaves_a_gap():
    page = sweep_page(fold([*a_sweep(), run("ln", "elu", 0, None, "failed", reason="no <memory>")]))
    assert "no &lt;memory&gt;" in page.partition("Failed</h2>")[2]
    assert "0 of 1: 1 failed" in page
    assert '"z":[[0.91,0.81],[null,null],[0.61,0.51]]' in page


def test_a_key_with_a_value_for_each_run_has_no_effect_of_its_own():
    runs = [
        Record(Path(str(i)), Result.from_json(a_result()), {}, {}, [f"optimizer.lr={i / 100}", "act=elu"])
        for i in range(1, 50)
    ]
    page = sweep_page(fold(runs))
    assert "What each key does" not in page
    assert "Two keys together" not in page


def test_a_sweep_without_a_result_still_makes_a_page():
    assert "No configuration has a result" in sweep_page(fold([]))


def test_figures_of_others_are_shown_on_the_pages_own_ground():
    foreign = {
        "data": [{"y": [1.0, math.nan]}],
        "layout": {"template": {"x": 1}, "title": {"text": "Their title"}, "xaxis": {}},
    }
    page = sweep_page(fold(a_sweep()), [("Search history", foreign)])
    inside = page.partition("Search</h2>")[2]
    assert "Search history" in inside
    assert "Their title" not in inside
    assert '"y":[1.0,null]' in inside


def test_panels_share_one_scale_and_show_gaps():
    layers = [{"activation_grad_norm": {"start": norm, "end": None}} for norm in (1e-4, None, 1e-2, 1.0)]
    made = panels(
        [("a", [Record(Path("a"), vitals={"layers": layers})]), ("b", [Record(Path("b"), vitals=some_vitals())])]
    )
    assert made.count("<svg") == 2
    stroke = re.search(r'class="start" d="([^"]*)"', made)[1]
    assert re.findall("[ML]", stroke) == ["M", "M", "L"]  # the gap is not bridged
    assert scale_of([[1.0]]).high > scale_of([[1.0]]).low


def test_sixty_panels_at_most():
    runs = [
        Record(Path(str(i)), Result.from_json(a_result()), some_vitals(), {}, [f"model.width={i}"]) for i in range(70)
    ]
    page = sweep_page(fold(runs))
    assert page.count("<svg") == 60
    assert "The best 60 of 70." in page
    assert len(page) < 10e6
