"""The page of several runs: who is best, how they differ, and how large it becomes."""

import re
import shutil

import pytest

from gradvitals.app.config.remedy_overrides import with_remedy
from gradvitals.report.pages.comparison import compare, differences
from gradvitals.report.pages.runs_page import runs_page
from gradvitals.results.record import Record, below
from gradvitals.results.result import Result
from tests.counting import python_calls
from tests.report.made import VERSIONS, a_result, a_run, some_vitals, with_curves


def acc(best):
    return {"val/acc": {"best": best, "final": best}}


def three(tmp_path):
    tmp_path.mkdir(exist_ok=True)
    for name, best, act in (("1", 0.5, "sigmoid"), ("2", 0.9, "elu"), ("3", None, "relu")):
        result = a_result(
            overrides=["model=bn", f"act={act}"], metrics=acc(best), verdict="healthy" if best == 0.9 else "vanishing"
        )
        with_curves(a_run(tmp_path / name, result, config=f"act:\n  name: {act}\npaths:\n  run: {name}\n"))
    return below(tmp_path)


def test_the_best_is_on_top_and_named_by_what_differs(tmp_path):
    page = runs_page(three(tmp_path), with_remedy)
    assert "<h1>Best val/acc: 0.9</h1>" in page
    assert "Overrides of all of them: <code>model=bn</code>" in page
    rows = re.findall(r"data-run=\"\d\".*?<code>(.*?)</code>", page)
    assert rows == ["act=elu", "act=sigmoid", "act=relu"]
    assert "Verdicts: 2 vanishing, 1 healthy." in page
    assert "python src/train.py model=bn act=elu init=auto" in page  # the remedy


def test_each_run_that_has_a_page_is_linked(tmp_path):
    runs = three(tmp_path / "logs")
    (tmp_path / "logs/2/report.html").touch()
    page = runs_page(runs, with_remedy, folder=tmp_path / "pages")
    assert '<a href="../logs/2/report.html"><code>act=elu</code></a>' in page
    assert page.count("report.html") == 1


def test_only_what_differs_is_told_of_configs(tmp_path):
    assert list(differences(three(tmp_path))) == ["act.name"]
    assert differences([Record(tmp_path, config={"a": 1}), Record(tmp_path, config={"a": 1})]) == {}


def test_a_run_without_a_config_does_not_make_all_keys_differ(tmp_path):
    same = [Record(tmp_path, config={"a": 1}), Record(tmp_path), Record(tmp_path, config={"a": 1})]
    assert differences(same) == {}


def test_a_loss_ranks_upwards_and_what_diverged_comes_last(tmp_path):
    def run(name, loss, status="completed"):
        metrics = {"val/loss": {"best": loss, "final": loss}}
        return Record(tmp_path / name, Result.from_json({"status": status, "metrics": metrics}))

    found = compare([run("a", 0.1, "diverged"), run("b", 0.9), run("c", 0.5)])
    assert found.names == ["c", "b", "a"]


def test_same_overrides_are_told_apart_by_directory(tmp_path):
    runs = [Record(tmp_path / name, overrides=["act=elu"]) for name in ("x", "y")]
    assert compare(runs).names == ["x", "y"]


def test_different_versions_are_flagged(tmp_path):
    a_run(tmp_path / "1")
    a_run(tmp_path / "2")
    assert "The same for all runs." in runs_page(below(tmp_path), with_remedy)
    a_run(tmp_path / "3", a_result(versions=VERSIONS | {"torch": "2.7.0"}))
    assert "made by different versions or commits" in runs_page(below(tmp_path), with_remedy)


def test_runs_without_anything_still_make_a_page(tmp_path):
    page = runs_page([Record(tmp_path / "a"), Record(tmp_path / "b")], with_remedy)
    assert "No run has a result" in page
    assert "The configs are the same." in page
    with pytest.raises(ValueError, match="at least one"):
        runs_page([], with_remedy)


def test_the_gradient_of_runs_without_curves_comes_from_their_vitals(tmp_path):
    a_run(tmp_path / "1", vitals=some_vitals())
    a_run(tmp_path / "2", vitals={})
    page = runs_page(below(tmp_path), with_remedy)
    assert '"y":[1e-06,0.0001,0.01,1.0]' in page
    assert "There are no curves" in page


def test_two_hundred_runs_stay_small_and_quick(tmp_path):
    first = with_curves(a_run(tmp_path / "0"))
    for i in range(1, 200):
        shutil.copytree(first, tmp_path / str(i))
    pages: list[str] = []
    calls = python_calls(lambda: pages.append(runs_page(below(tmp_path), with_remedy)))
    assert calls < 200 * 3000  # about 900 for each run, or 0.3 s for all on a laptop
    (page,) = pages
    assert len(page) < 10e6
    assert page.count("checked=") == 12
    assert page.count("data-run=") == 200


@pytest.mark.parametrize("tag", ["val/mae", "val/perplexity"])
def test_the_best_run_is_the_one_with_the_lowest_error(tmp_path, tag):
    for name, value in (("a", 3.0), ("b", 2.0), ("c", 4.0)):
        metrics = {tag: {"best": value, "final": value}}
        result = a_result(metrics=metrics, overrides=[f"act={name}"], objective={"tag": tag, "mode": "min"})
        a_run(tmp_path / name, result)
    page = runs_page(below(tmp_path), with_remedy)
    assert f"Best {tag}: 2</h1>" in page
    assert [record.name for record in compare(below(tmp_path)).records] == ["act=b", "act=a", "act=c"]


def test_an_older_result_is_judged_by_its_config(tmp_path):
    for name, value in (("a", 3.0), ("b", 2.0)):
        result = a_result(metrics={"val/mae": {"best": value, "final": value}}, overrides=[f"act={name}"])
        a_run(tmp_path / name, result, config="objective: val/mae")
    assert "Best val/mae: 2</h1>" in runs_page(below(tmp_path), with_remedy)
