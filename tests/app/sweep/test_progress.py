"""The progress of a sweep."""

from __future__ import annotations

import pytest

from gradvitals.app.sweep.progress import Progress, duration, line
from gradvitals.app.sweep.sweep_summary import watched_sweep
from gradvitals.errors import ConfigError
from gradvitals.results.result import Result
from tests.app.sweep.left_job import left_job


def test_progress_tells_each_job_once(tmp_path, capsys):
    left_job(tmp_path, "0_x", ["act=elu"], "completed")
    with Progress(tmp_path, total=3, pending=2):
        left_job(tmp_path, "1_x", ["act=relu"], "failed")
        left_job(tmp_path, "2_x", ["act=tanh"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 of 3 jobs have ended before"
    assert lines[1].startswith("[2/3] act=relu  failed: None  ")
    assert len(lines) == 2


def test_a_line_of_progress():
    metrics = {"val/acc": {"best": 0.912345}}
    result = {
        "status": "completed",
        "metrics": metrics,
        "verdict": "healthy",
        "seconds": 3.21,
        "overrides": ["act=elu"],
    }
    assert line(Result.from_json(result), "0_x") == "act=elu  completed  val/acc 0.9123  healthy  3.2 s"
    assert duration(59.6) == "1 min 0 s"


def test_jobs_that_leave_nothing_here_are_told(tmp_path):
    with (
        pytest.raises(ConfigError, match="expected directories of 2 jobs; there is none. Let all machines"),
        watched_sweep(tmp_path, total=2, pending=2),
    ):
        pass
