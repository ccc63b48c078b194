"""The page of a sweep: the answer first, then what each key does."""

import base64
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from gradvitals.report.pages.sweep_page import sweep_page
from gradvitals.report.tables.sweep import markdown
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
    assert "model=bn act=elu</code>, mean ± std of 2 runs" in page
    assert "python src/train.py model=bn act=elu seed=0</pre>" in page
    assert "2 of 2" in page


def test_the_folds_of_a_cross_validation_are_one_row():
    metrics = [{f"{part}/acc": {"best": acc, "final": acc} for part in ("val", "test")} for acc in (0.7, 0.8, 0.9)]
    runs = [
        Record(Path(f"{i}"), Result.from_json(a_result(metrics=each)), some_vitals(), {}, [f"data.fold={i}"])
        for i, each in enumerate(metrics)
    ]
    page = sweep_page(fold(runs))
    assert "3 runs of 1 configurations, 3 folds, 1 seed: 3 completed" in page
    assert "mean ± std of 3 runs; test/acc 0.8 ± 0.1 over 3 folds" in page
    assert "Mean and standard deviation are over the folds and seeds of ended runs." in page


def test_each_key_has_its_effect_on_one_scale():
    page = sweep_page(fold(a_sweep()))
    assert "The means of the best and the worst value differ by 0.3." in page  # bn over plain
    assert "The means of the best and the worst value differ by 0.1." in page  # elu over relu
    ranges = re.findall(r'"range":(\[[^]]*\])', page.partition("What each key does</h2>")[2])
    assert len(ranges) >= 2
    assert ranges[0] == ranges[1]


def drawn_numbers(page):
    """The numbers on the axes of the figures of each key."""
    inside = page.partition("What each key does</h2>")[2].partition("</section>")[0]
    traces = [
        trace for packed in re.findall("<script[^>]*>(.*?)</script>", inside) for trace in json.loads(packed)["data"]
    ]
    assert not any("error_x" in trace for trace in traces)
    return [value for trace in traces for value in trace["x"]]


def test_no_accuracy_is_drawn_above_one():
    """As a mean of 0.55 would be with its standard deviation of 0.63, where one half learns and the other does not."""
    halves = {("plain", "elu"): 0.1, ("plain", "relu"): 0.1, ("bn", "elu"): 1.0, ("bn", "relu"): 0.98}
    sweep = fold([run(*names, seed, best) for names, best in halves.items() for seed in (0, 1)])
    assert sweep.effects["act"]["elu"].mean + sweep.effects["act"]["elu"].sd > 1.1
    numbers = drawn_numbers(sweep_page(sweep))
    assert sorted({*numbers}) == pytest.approx([0.1, 0.54, 0.55, 0.98, 0.99, 1.0])
    assert "| elu | 0.55 | 0.1 | 1 | 2 |" in markdown(sweep)


def test_each_run_that_has_a_page_is_linked(tmp_path):
    """Relative to the page, and quoted: names of directories contain what a browser would take for a query."""
    sweep_dir = tmp_path / "a sweep"
    runs = [replace(each, folder=sweep_dir / f"{i}_act=x,100%#?") for i, each in enumerate(a_sweep())]
    for each in runs[:3]:
        each.folder.mkdir(parents=True)
        (each.folder / "report.html").touch()
    page = sweep_page(fold(runs), folder=sweep_dir)
    links = re.findall('<a href="([^#"]+)">(.*?)</a>', page)
    assert [(unquote(address), words) for address, words in links] == [
        ("0_act=x,100%#?/report.html", "seed 0"),
        ("1_act=x,100%#?/report.html", "seed 1"),
        ("2_act=x,100%#?/report.html", "seed 0"),
    ]
    elsewhere = sweep_page(fold(runs), folder=tmp_path / "b")
    assert "../a%20sweep/0_act%3Dx%2C100%25%23%3F/report.html" in elsewhere
    assert '<a href="#configurations">' in sweep_page(fold(runs))
    assert "report.html" not in sweep_page(fold(runs))


def test_figures_of_others_have_ticks_at_integers():
    """Trials have no halves, nor have layers."""
    history = {"data": [{"x": [0, 1, 2], "y": [0.5, 0.6, 0.7]}], "layout": {"xaxis": {}}}
    dimensions = [{"label": "model.depth", "values": [2, 4, 4]}, {"label": "lr", "values": [0.1, 0.2, 0.3]}]
    page = sweep_page(fold(a_sweep()), [("History", history), ("Every trial", {"data": [{"dimensions": dimensions}]})])
    assert '"xaxis":{"automargin":true,"dtick":1}' in page
    assert '{"tickvals":[2,4],"label":"model.depth","values":[2,4,4]},{"label":"lr"' in page


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


def test_the_picture_of_the_gradients_is_part_of_the_page():
    page = sweep_page(fold(a_sweep()), gradients=b"\x89PNG of the sweep")
    inside = page.partition("Gradient by layer</h2>")[2]
    packed = re.search('<img src="data:image/png;base64,([^"]*)"', inside)[1]
    assert base64.b64decode(packed) == b"\x89PNG of the sweep"


def test_without_the_picture_the_section_is_left_out():
    assert "Gradient by layer</h2>" not in sweep_page(fold(a_sweep()))


def test_gradients_that_were_not_measured_are_one_line():
    page = sweep_page(
        fold([Record(Path("a"), Result.from_json(a_result()), {}, {}, ["act=elu"])]), gradients=b"\x89PNG"
    )
    assert "Not measured in any run (monitor=off)." in page
    assert "<img" not in page
