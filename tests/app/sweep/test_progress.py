"""The progress of a sweep."""

from __future__ import annotations

import json
from pathlib import Path
from zipfile import ZipFile

import pytest

from gradvitals.app.sweep.progress import Progress, duration, line
from gradvitals.app.sweep.sweep_summary import watched_sweep
from gradvitals.errors import ConfigError
from gradvitals.results.result import Result


def job(sweep_dir: Path, name: str, words: list[str], status: str | None = None, checkpoint: bool = False) -> Path:
    """A job's directory as Hydra and the app leave it."""
    folder = sweep_dir / name
    (folder / ".hydra").mkdir(parents=True)
    (folder / ".hydra/config.yaml").write_text("seed: 0\n")
    (folder / ".hydra/overrides.yaml").write_text(json.dumps(words))
    if status:
        (folder / "result.json").write_text(json.dumps({"status": status, "overrides": words}))
    if checkpoint:
        (folder / "checkpoints").mkdir()
        ZipFile(folder / "checkpoints/last.ckpt", "w").close()
    return folder


def test_progress_tells_each_job_once(tmp_path, capsys):
    job(tmp_path, "0_x", ["act=elu"], "completed")
    with Progress(tmp_path, total=3, pending=2):
        job(tmp_path, "1_x", ["act=relu"], "failed")
        job(tmp_path, "2_x", ["act=tanh"])
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
