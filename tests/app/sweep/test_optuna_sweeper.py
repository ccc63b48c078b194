"""What a study is told, and what a search does after it was killed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from gradvitals.app.sweep.optuna_study import PRUNED, as_logged, ended, open_study, trial_in
from gradvitals.app.sweep.optuna_sweeper import SearchSweeper, direction, figures, tell
from gradvitals.app.sweep.pruning import Pruning
from gradvitals.results.record import Record
from gradvitals.results.result import Result
from tests.conftest import ROOT

OPTIONS = {"n_trials": 4, "n_jobs": 1, "seed": 0, "startup_trials": 2, "prune_after_trials": 1, "prune_after_epochs": 0}
SPACE = {"x": optuna.distributions.CategoricalDistribution(["a", "b", "c", "d"])}


@pytest.fixture
def study(tmp_path):
    return open_study(tmp_path, OPTIONS, "maximize")


def ran(status: str, best: float | None = None) -> Record:
    metrics = {"val/acc": {"best": best}, "val/loss": {"best": 2.0}}
    return Record(Path("x"), Result.from_json({"status": status, "metrics": metrics}))


def test_without_optuna_a_search_is_refused_in_one_line(tmp_path):
    start = "sys.modules['optuna'] = None; del sys.argv[0]; runpy.run_path(sys.argv[0], run_name='__main__')"
    call = [sys.executable, "-c", f"import runpy, sys; {start}", str(ROOT / "src/train.py"), "sweep=optuna"]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    expected = 'gradvitals: sweep=optuna needs a package: optuna. Install it by pip install "gradvitals[optuna]"\n'
    assert (done.returncode, done.stderr) == (1, expected)
    assert not list(tmp_path.iterdir())


def test_a_study_lies_on_disk(study, tmp_path):
    tell(study, study.ask(SPACE).number, ran("completed", 0.75))
    again = open_study(tmp_path, OPTIONS, "maximize")
    assert [trial.value for trial in ended(again)] == [0.75]


@pytest.mark.parametrize(
    ("record", "state", "value"),
    [
        (ran("completed", 0.9), TrialState.COMPLETE, 0.9),
        (ran("stopped", 0.8), TrialState.COMPLETE, 0.8),
        (ran("diverged", 0.3), TrialState.COMPLETE, 0.0),  # a finite penalty: the worst accuracy there is
        (ran("failed"), TrialState.FAIL, None),
        (ran("interrupted"), TrialState.FAIL, None),
        (None, TrialState.FAIL, None),
    ],
)
def test_how_a_trial_ends(study, record, state, value):
    tell(study, study.ask(SPACE).number, record)
    assert (study.trials[0].state, study.trials[0].value) == (state, value)


def test_a_trial_that_was_ended_early_is_pruned_at_its_last_value(study, tmp_path):
    trial = study.ask(SPACE)
    mine = trial_in(tmp_path, OPTIONS, trial.number)  # as the job's own process opens it
    mine.report(0.4, step=3)
    mine.set_user_attr(PRUNED, "half of the others were better")
    tell(study, trial.number, ran("stopped", 0.5))
    assert (study.trials[0].state, study.trials[0].value) == (TrialState.PRUNED, 0.4)


def test_the_pruner_compares_with_the_other_trials(study, tmp_path):
    first = study.ask(SPACE)
    for epoch in range(3):
        first.report(0.9, step=epoch)
    tell(study, first.number, ran("completed", 0.9))
    second = trial_in(tmp_path, OPTIONS, study.ask(SPACE).number)
    second.report(0.1, step=1)
    assert second.should_prune()


def sweeper(tmp_path: Path, study: optuna.Study, launched: list[list[str]]) -> SearchSweeper:
    """A search whose launcher only writes down what it is given, and leaves results of .5."""

    class Launcher:
        def launch(self, jobs, initial_job_idx):
            launched.extend(jobs)
            folders = [left(tmp_path, f"job{len(launched)}", job[:-2]) for job in jobs]
            runtimes = [SimpleNamespace(runtime=SimpleNamespace(output_dir=str(folder))) for folder in folders]
            return [SimpleNamespace(hydra_cfg=SimpleNamespace(hydra=runtime)) for runtime in runtimes]

    from omegaconf import OmegaConf

    made = SearchSweeper(**OPTIONS)
    made._launcher = Launcher()
    sweep = {"dir": str(tmp_path), "subdir": "${hydra.job.num}_x"}
    made._config = OmegaConf.create({"objective": "auto", "objective_mode": "auto", "hydra": {"sweep": sweep}})
    return made


def left(tmp_path: Path, name: str, words: list[str], status: str = "completed") -> Path:
    folder = tmp_path / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/overrides.yaml").write_text(json.dumps(words))
    metrics = {"val/acc": {"best": 0.5}}
    (folder / "result.json").write_text(json.dumps({"status": status, "overrides": words, "metrics": metrics}))
    return folder


def test_a_search_tries_nothing_twice_and_ends_when_all_is_tried(tmp_path, study):
    launched: list[list[str]] = []
    searching = sweeper(tmp_path, study, launched)
    searching.options["n_trials"] = 10
    searching._search(study, SPACE, ["seed=3"])
    assert sorted(job[1] for job in launched) == ["x=a", "x=b", "x=c", "x=d"]
    assert launched[0][0] == "seed=3"
    assert launched[0][2:] == ["hydra.sweep.subdir='0_x'", "hydra.sweeper.trial=0"]


def test_what_ended_while_nobody_listened_is_told_and_not_run_again(tmp_path, study):
    trial = study.ask(SPACE)  # the search is killed here, its job is not
    left(tmp_path, "0_x", [f"x={trial.params['x']}"])
    sweeper(tmp_path, study, [])._take_up(study, [], tmp_path)
    assert [trial.value for trial in ended(study)] == [0.5]
    assert not study.get_trials(states=(TrialState.WAITING,))


def test_what_was_lost_or_failed_is_queued_again_once(tmp_path, study):
    lost = study.ask(SPACE)
    failed = study.ask(SPACE)
    while failed.params == lost.params:
        study.tell(failed, state=TrialState.FAIL)
        failed = study.ask(SPACE)
    study.tell(failed, state=TrialState.FAIL)
    for _ in range(2):  # resuming twice queues nothing twice
        sweeper(tmp_path, study, [])._take_up(study, [], tmp_path)
        waiting = study.get_trials(states=(TrialState.WAITING,))
        queued = [trial.system_attrs["fixed_params"]["x"] for trial in waiting]
        assert sorted(queued) == sorted([lost.params["x"], failed.params["x"]])


def test_a_search_that_goes_on_draws_anew(tmp_path):
    space = {"lr": optuna.distributions.FloatDistribution(0.0, 1.0)}
    first = open_study(tmp_path, OPTIONS, "maximize")
    before = [first.ask(space).params["lr"] for _ in range(3)]
    again = open_study(tmp_path, OPTIONS, "maximize")
    assert not set(before) & {again.ask(space).params["lr"] for _ in range(3)}


def test_optunas_pictures_are_plain_figures(study):
    space = {"lr": optuna.distributions.FloatDistribution(0.0, 1.0)}
    assert figures(study) == [] or all(heading for heading, _ in figures(study))
    for number in range(4):
        tell(study, study.ask(space).number, ran("completed", number / 4))
    found = dict(figures(study))
    assert next(iter(found)) == "Search history"
    assert all("data" in figure and "layout" in figure for figure in found.values())


def test_a_study_is_free_when_the_process_that_wrote_to_it_is_killed(study, tmp_path):
    """The process is killed while it has the study's lock; Optuna's own lock would stay for good."""

    code = f"import os, gradvitals.app.sweep.optuna_study as s; s._storage(s.Path({str(tmp_path)!r}))._backend._lock.acquire(); os.kill(os.getpid(), 9)"
    killed = subprocess.run([sys.executable, "-c", code], check=False, timeout=60)
    assert killed.returncode == -9
    assert study.ask().number == len(study.trials) - 1


def by_loss(best: float, status: str = "completed", tag: str = "val/loss") -> Record:
    """What a LightningModule leaves that logs a loss and nothing else."""
    return Record(Path("x"), Result.from_json({"status": status, "metrics": {tag: {"best": best, "final": best}}}))


def pruned(study: optuna.Study, tmp_path: Path, values: list[float], name: str, *asked: str) -> bool:
    """Whether a trial with these values of a metric after each validation is ended early."""
    pruning = Pruning(trial_in(tmp_path, OPTIONS, study.ask(SPACE).number), *asked)
    for epoch, value in enumerate(values):
        fit = SimpleNamespace(callback_metrics={name: value}, sanity_checking=False, current_epoch=epoch)
        fit.should_stop = False
        pruning.on_validation_end(fit, None)
        if fit.should_stop:
            return True
    return False


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("val/loss", ("auto", "auto")),
        ("val/loss", ("auto", "min")),
        ("val/loss", ("val/loss", "auto")),
        ("val/mae", ("val/mae", "auto")),
        ("val/elbo", ("val/elbo", "min")),
    ],
)
def test_of_a_metric_to_be_minimized_the_lowest_trial_is_the_best_and_the_better_ones_go_on(tmp_path, name, asked):
    study = open_study(tmp_path, OPTIONS, direction(*asked))
    assert not pruned(study, tmp_path, [2.0, 1.0, 0.9], name, *asked)
    tell(study, 0, by_loss(0.9, tag=name))
    assert not pruned(study, tmp_path, [1.5, 0.5, 0.4], name, *asked)  # better at every epoch
    tell(study, 1, by_loss(0.4, tag=name))
    assert pruned(study, tmp_path, [2.0, 3.0, 4.0], name, *asked)
    assert study.best_trial.number == 1
    shown = as_logged(study)
    assert (shown.direction.name, shown.best_value) == ("MINIMIZE", 0.4)
    assert shown.trials[0].intermediate_values == {0: 2.0, 1: 1.0, 2: 0.9}


def test_a_diverged_trial_is_the_worst_of_a_study_of_losses(study):
    for record in (by_loss(2.0), by_loss(0.1, "diverged"), by_loss(3.0)):
        tell(study, study.ask(SPACE).number, record)
    assert sorted(study.trials, key=lambda trial: trial.value)[0].number == 1
    assert [trial.value for trial in as_logged(study).trials] == [2.0, 1e6, 3.0]


def test_a_study_compares_one_metric_whatever_later_trials_log(study):
    tell(study, study.ask(SPACE).number, ran("completed", 0.9))
    tell(study, study.ask(SPACE).number, by_loss(0.01))  # no accuracy at all: the penalty
    assert [trial.value for trial in study.trials] == [0.9, 0.0]


def test_a_study_that_was_begun_before_any_metric_was_known_still_ends(study):
    tell(study, study.ask(SPACE).number, Record(Path("x"), Result.from_json({"status": "diverged", "metrics": {}})))
    tell(study, study.ask(SPACE).number, by_loss(2.0))
    assert study.best_trial.number == 1
