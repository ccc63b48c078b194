"""A sweep folded by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gradvitals.report.tables.sweep import answer, as_csv, averaged, failures, markdown, text
from gradvitals.results.aggregate import fold, typed_settings
from gradvitals.results.record import Record
from gradvitals.results.result import Result


def run(words: str, acc: float | None = None, status: str = "completed", **more: Any) -> Record:
    """A run as its directory would tell it."""
    overrides = words.split()
    seed = int(typed_settings(overrides).get("seed", 0))
    metrics = {} if acc is None else {"val/acc": {"best": acc, "final": acc - 0.1}, "val/loss": {"best": 1 - acc}}
    result = {"status": status, "metrics": metrics, "seed": seed, "seconds": 2.0, "verdict": "healthy"} | more
    return Record(Path("x"), Result.from_json(result), {"gain_per_layer": 0.5}, {"objective": "auto"}, overrides)


def test_seeds_fold_into_mean_and_deviation():
    found = fold([run("act=elu seed=0", 0.8), run("act=elu seed=1", 0.9), run("act=elu seed=2", 1.0)])
    assert (found.keys, found.replicates, str(found.objective)) == ([], {"seed": 3}, "val/acc")
    (row,) = found.rows
    assert row.objective.mean == pytest.approx(0.9)
    assert row.objective.sd == pytest.approx(0.1)  # of the sample: sqrt((.01 + 0 + .01) / 2)
    assert row.final.mean == pytest.approx(0.8)
    assert (row.objective.n, row.gain.mean, row.seconds.mean) == (3, 0.5, 2.0)


def folds(words: str, tested: list[float]) -> list[Record]:
    """The runs of a cross-validation, each validated at 0.5."""
    metrics = [{"val/acc": {"best": 0.5, "final": 0.5}, "test/acc": {"best": acc, "final": acc}} for acc in tested]
    return [
        run(f"{words} data.folds={len(tested)} data.fold={i}", metrics=each, seed=0) for i, each in enumerate(metrics)
    ]


def test_folds_are_replicates_as_seeds_are():
    found = fold([*folds("act=elu", [0.7, 0.8, 0.9]), *folds("act=relu", [0.4, 0.4, 0.7])])
    assert (found.keys, found.replicates, str(found.tested)) == (["act"], {"fold": 3, "seed": 1}, "test/acc")
    assert {row.name: row.tested.mean for row in found.rows} == {
        "act=elu": pytest.approx(0.8),
        "act=relu": pytest.approx(0.5),
    }
    assert found.rows[0].tested.sd == pytest.approx(0.1)
    assert answer(found) == (
        "Best: act=elu, val/acc 0.5 ± 0; test/acc 0.8 ± 0.1 over 3 folds. 6 runs of 2 configurations: 6 completed."
    )
    head, first = (line.split() for line in text(found).splitlines()[:2])
    assert head == ["act", "val/acc", "final", "test/acc", "ended", "verdict", "gain/layer", "seconds"]
    assert first[7:11] == ["0.8", "±", "0.1", "3/3"]
    assert "test/acc final mean,test/acc final sd" in as_csv(found).splitlines()[0]


def test_one_fold_is_no_cross_validation():
    found = fold(folds("act=elu", [0.7, 0.8])[:1])
    assert (found.replicates, found.tested) == ({"seed": 1}, None)
    assert "folds" not in answer(found)


def test_only_keys_that_differ_are_swept_and_the_best_is_on_top():
    found = fold([run("act=relu model.depth=5", 0.5), run("act=elu model.depth=5", 0.7)])
    assert found.keys == ["act"]
    assert [row.settings for row in found.rows] == [{"act": "elu"}, {"act": "relu"}]


def test_a_key_that_some_runs_do_not_have_is_swept_too():
    found = fold([run("act=relu", 0.5), run("act=relu clip=norm", 0.7)])
    assert [row.settings for row in found.rows] == [{"clip": "norm"}, {}]
    assert found.rows[1].name == "(defaults)"


def test_a_loss_is_best_when_lowest():
    runs = [run(f"act={act}", acc) for act, acc in (("relu", 0.5), ("elu", 0.9))]
    runs = [Record(r.folder, r.result, r.vitals, {"objective": "val/loss"}, r.overrides) for r in runs]
    found = fold(runs)
    assert found.lower_is_better
    assert [row.settings["act"] for row in found.rows] == ["elu", "relu"]
    assert found.rows[0].objective.mean == pytest.approx(0.1)
    assert str(found.metric) == "val/acc"  # shown beside


def by_metric(tag: str, mode: str, values: dict[str, float]) -> list[Record]:
    """Runs that were judged by a metric of their own; their results say by which."""
    return [
        run(f"act={act}", metrics={tag: {"best": value, "final": value}}, objective={"tag": tag, "mode": mode})
        for act, value in values.items()
    ]


@pytest.mark.parametrize(("tag", "mode"), [("val/mae", "min"), ("val/perplexity", "min"), ("val/elbo", "min")])
def test_the_rank_follows_the_objective_that_the_results_name(tag, mode):
    found = fold(by_metric(tag, mode, {"relu": 3.0, "elu": 2.0, "tanh": 4.0}))
    assert [row.settings["act"] for row in found.rows] == ["elu", "relu", "tanh"]
    assert (str(found.objective), found.lower_is_better) == (tag, True)
    assert answer(found).startswith(f"Best: act=elu, {tag} 2.")
    assert as_csv(found).splitlines()[1].startswith("1,elu")


def test_an_error_of_a_run_that_diverged_ranks_last():
    runs = by_metric("val/mae", "min", {"relu": 3.0, "elu": 2.0})
    lost = run("act=tanh", None, "diverged", objective={"tag": "val/mae", "mode": "min"})
    assert [row.settings["act"] for row in fold([lost, *runs]).rows] == ["elu", "relu", "tanh"]


def test_what_diverged_ranks_with_the_worst_value_and_what_failed_stands_last():
    found = fold(
        [
            run("act=relu seed=0", 0.9),
            run("act=relu seed=1", None, "diverged"),
            run("act=elu seed=0", 0.6),
            run("act=elu seed=1", 0.6),
            run("act=tanh seed=0", None, "failed", reason="no disk"),
        ]
    )
    assert [row.settings["act"] for row in found.rows] == ["elu", "relu", "tanh"]  # (.9 + 0) / 2 is less than .6
    assert [row.objective.n for row in found.rows] == [2, 1, 0]
    assert found.rows[1].objective.mean == 0.9  # the mean is of what ended
    assert failures(found) == [("act=tanh seed=0", "no disk")]


def test_effects_are_means_over_all_the_rest():
    table = {("bn", "elu"): 0.9, ("bn", "relu"): 0.7, ("plain", "elu"): 0.5, ("plain", "relu"): 0.1}
    found = fold([run(f"model={model} act={act}", acc) for (model, act), acc in table.items()])
    means = {key: {value: spread.mean for value, spread in values.items()} for key, values in found.effects.items()}
    assert means["model"] == {"bn": pytest.approx(0.8), "plain": pytest.approx(0.3)}
    assert means["act"] == {"elu": pytest.approx(0.7), "relu": pytest.approx(0.4)}
    pairs = found.interactions[("model", "act")]
    assert {pair: spread.mean for pair, spread in pairs.items()} == {k: pytest.approx(v) for k, v in table.items()}


def test_numbers_sort_by_size():
    found = fold([run(f"model.depth={depth} act={act}", 0.5) for depth in (2, 16, 4) for act in ("elu", "relu")])
    assert list(found.effects["model.depth"]) == ["2", "4", "16"]


def test_values_of_single_configurations_have_no_average():
    assert averaged(fold([run("optimizer.lr=0.1", 0.5), run("optimizer.lr=0.2", 0.6)])) == {}


def test_of_several_attempts_the_one_that_ended_counts():
    attempts = [run("act=elu", None, "missing"), run("act=elu", 0.8), run("act=elu", None, "failed")]
    (row,) = fold(attempts).rows
    assert [r.status for r in row.runs] == ["completed"]


def test_a_run_that_went_on_from_a_checkpoint_is_the_same_run():
    assert typed_settings(["act=elu", "ckpt_path=a/last.ckpt"]) == {"act": "elu"}


def test_no_run_at_all():
    found = fold([])
    assert answer(found) == "No configuration has a result. 0 runs of 0 configurations: ."
    assert as_csv(found) == "\n"


def test_the_terminals_table():
    found = fold([run(f"act={act} seed={seed}", acc) for act, acc in (("elu", 0.5), ("relu", 0.75)) for seed in (0, 1)])
    lines = text(found).splitlines()
    assert lines[0].split() == ["act", "val/acc", "final", "ended", "verdict", "gain/layer", "seconds"]
    assert lines[1].split() == ["relu", "0.75", "±", "0", "0.65", "±", "0", "2/2", "healthy", "2", "0.5", "2"]
    assert answer(found) == "Best: act=relu, val/acc 0.75 ± 0. 4 runs of 2 configurations: 4 completed."


def test_long_sweeps_are_cut_in_the_terminal_alone():
    found = fold([run(f"x={i}", i / 100) for i in range(60)])
    assert "… and 20 more" in text(found)
    assert len(as_csv(found).splitlines()) == 61


def test_a_formula_in_a_value_is_no_formula_in_the_csv():
    lines = as_csv(fold([run("tags==cmd()", 0.5), run("tags=-0.1", 0.4)])).splitlines()
    assert lines[1].startswith("1,'=cmd()")
    assert lines[2].startswith("2,-0.1")


def test_markdown_says_what_failed():
    page = markdown(fold([run("act=elu", 0.5), run("act=relu", None, "failed", reason="a | b")]))
    assert "| act=relu | a / b |" in page
    assert "![Gradient by layer of each configuration](sweep.png)" in page
