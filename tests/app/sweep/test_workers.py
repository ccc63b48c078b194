"""Several commands at one search: each trial once, as many as were asked for, and nothing taken from one another."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import optuna
import pytest
from omegaconf import OmegaConf
from optuna.trial import TrialState

from gradvitals.app.commands.resume import rewrite
from gradvitals.app.sweep.optuna_study import WORKER, given_out, open_study
from gradvitals.app.sweep.optuna_sweeper import in_hand
from gradvitals.app.sweep.workers import at_work
from gradvitals.errors import ConfigError
from tests.app.sweep.test_optuna_sweeper import OPTIONS, SPACE, sweeper
from tests.app.sweep.test_sweeps import rows, statuses
from tests.conftest import ROOT

TRIALS = 8
SEARCH = ["sweep=optuna", f"hydra.sweeper.n_trials={TRIALS}", "hydra.sweeper.startup_trials=3", "report=false"]
SEARCH += ["trainer.max_epochs=1", "model.depth=2", "model.width=16"]


def started(folder: Path, *words: str) -> subprocess.Popen[str]:
    call = [sys.executable, str(ROOT / "src/train.py"), *words]
    return subprocess.Popen(call, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def begun(tmp_path: Path, first: subprocess.Popen[str]) -> Path:
    """The directory of a search that has a study."""
    while not list(tmp_path.glob("logs/train/multiruns/*/.workers/*_*.lock")):
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.02)
    (sweep_dir,) = tmp_path.glob("logs/train/multiruns/*")
    return sweep_dir


def test_two_workers_share_a_search(tmp_path):
    first = started(tmp_path, *SEARCH)
    sweep_dir = begun(tmp_path, first)
    second = started(tmp_path, f"join_sweep={sweep_dir}")
    said = [process.communicate(timeout=120)[0] for process in (first, second)]
    assert (first.returncode, second.returncode) == (0, 0), said
    study = open_study(sweep_dir, {**OPTIONS, "n_trials": TRIALS}, "maximize")
    trials = [trial for trial in study.trials if WORKER in trial.user_attrs]
    assert len(trials) == TRIALS
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert len({tuple(trial.params.items()) for trial in trials}) == TRIALS
    assert len(Counter(trial.user_attrs[WORKER] for trial in trials)) == 2  # both did some
    found = [json.loads(file.read_text()) for file in sweep_dir.glob("*/result.json")]
    assert len({tuple(result["overrides"]) for result in found}) == len(found) == TRIALS
    assert statuses(sweep_dir).keys() <= {"completed", "stopped"}
    assert sum(int(row["ended"]) for row in rows(sweep_dir)) == TRIALS
    assert "Search history" in (sweep_dir / "sweep.html").read_text()
    assert any(f"{TRIALS} runs of" in words for words in said)


def test_a_worker_that_is_killed_holds_nobody_up_and_its_trial_is_run_later(tmp_path, study):
    """Two workers in this process, one of which dies with a trial in hand."""
    with at_work(tmp_path) as other:
        theirs = study.ask(SPACE)
        theirs.set_user_attr(WORKER, other)
        launched: list[list[str]] = []
        mine = sweeper(tmp_path, study, launched)
        mine._take_up(study, [], tmp_path)  # a resumed command leaves it alone
        assert study.trials[theirs.number].state == TrialState.RUNNING
        mine._search(study, SPACE, [])
        assert in_hand(study, tmp_path) == "in hand      trials of other workers: 1. The last worker sums up all"
    assert "whose worker is gone: 1. python src/train.py resume_sweep=" in in_hand(study, tmp_path)
    assert len(launched) == OPTIONS["n_trials"] - 1 == len({job[0] for job in launched})
    assert f"x={theirs.params['x']}" not in [job[0] for job in launched]
    resumed = sweeper(tmp_path, study, launched)
    resumed._take_up(study, [], tmp_path)
    resumed._search(study, SPACE, [])
    assert sorted(job[0] for job in launched) == ["x=a", "x=b", "x=c", "x=d"]
    assert given_out(study) == 4
    assert in_hand(study, tmp_path) == ""


@pytest.fixture
def study(tmp_path) -> optuna.Study:
    return open_study(tmp_path, OPTIONS, "maximize")


def test_a_command_that_fails_again_and_again_ends(tmp_path, study):
    searching = sweeper(tmp_path, study, [])
    while trials := searching._next(study, SPACE):
        study.tell(trials[0], state=TrialState.FAIL)
    assert len({trial.params["x"] for trial in study.trials}) == 4


def test_the_second_command_is_that_of_the_first(tmp_path):
    words = {"task": ["act=choice(relu,elu)"], "hydra": ["hydra/sweeper=optuna", "hydra.sweeper.resume=true"]}
    saved = {"hydra": {"overrides": words, "sweeper": {"n_trials": 4}}}
    OmegaConf.save(OmegaConf.create(saved), tmp_path / "multirun.yaml")
    argv = rewrite(["train.py", f"join_sweep={tmp_path}", "hydra/launcher=joblib"])
    here = [f"hydra.sweep.dir='{tmp_path}'", "hydra.sweeper.join=true"]
    assert argv == ["train.py", "act=choice(relu,elu)", "hydra/sweeper=optuna", "hydra/launcher=joblib", *here]
    with pytest.raises(ConfigError, match="join_sweep: a sweep continues as it was; only .* got act=gelu"):
        rewrite(["train.py", f"join_sweep={tmp_path}", "act=gelu"])


def test_a_grid_is_not_joined(tmp_path):
    saved = {"hydra": {"overrides": {"task": ["seed=0,1"], "hydra": []}, "sweeper": {"resume": False}}}
    OmegaConf.save(OmegaConf.create(saved), tmp_path / "multirun.yaml")
    with pytest.raises(ConfigError, match="expected a search, .* hydra/launcher=ray or submitit_slurm"):
        rewrite(["train.py", f"join_sweep={tmp_path}"])


def test_a_killed_workers_lock_is_free(tmp_path):
    from gradvitals.app.sweep.workers import is_at_work

    code = f"from pathlib import Path; from gradvitals.app.sweep.workers import at_work; import time\nwith at_work(Path({str(tmp_path)!r})) as name: print(name, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        name = process.stdout.readline().strip()
        assert is_at_work(tmp_path, name)
        os.kill(process.pid, signal.SIGKILL)
    assert not is_at_work(tmp_path, name)
