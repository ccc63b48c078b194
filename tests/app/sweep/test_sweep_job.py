"""A sweep's job that its launcher starts again in the same directory: no curve twice, and nothing that is done."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from gradvitals.app.sweep.sweep_job import has_failed, own_gpu
from tests.app.sweep.left_job import left_job
from tests.faults import forked
from tests.faults.test_interruption import curves, in_renaming, in_step, weights

SWEEP = ["-m", "seed=7", "data=iris", "trainer.max_epochs=5", "logger=many", "report=false"]
SWEEP += ["callbacks.picture.enabled=false", "hydra.sweep.dir=sweep"]
STEPS = 4  # in an epoch


def start(folder: Path, fault: Callable[[], None] = lambda: None) -> int:
    """The same job in the same directory, as Ray and SLURM do it."""
    (folder / "sweep/multirun.yaml").unlink(missing_ok=True)
    return forked.run(folder, *SWEEP, fault=fault)


def job(folder: Path) -> Path:
    (found,) = folder.glob("sweep/0_*")
    return found


def rows(folder: Path) -> list[str]:
    return [row["step"] for row in csv.DictReader((job(folder) / "metrics.csv").read_text().splitlines())]


@pytest.mark.slow
def test_it_goes_on_or_begins_anew_and_what_has_ended_stays(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert start(whole) == 0, forked.said(whole)
    for fault in (in_step(2), in_renaming(1), in_step(2 * STEPS + 1)):  # there is no checkpoint before the third
        assert start(killed, fault) == -signal.SIGKILL, forked.said(killed)
    assert start(killed) == 0, forked.said(killed)
    assert weights(killed / "sweep") == weights(whole / "sweep")
    assert curves(job(killed)) == curves(job(whole))
    assert rows(killed) == rows(whole)
    before = (job(killed) / "result.json").stat().st_mtime_ns
    assert start(killed, in_step(0)) == 0, forked.said(killed)
    assert (job(killed) / "result.json").stat().st_mtime_ns == before


def test_each_job_holds_a_gpu_of_its_own(tmp_path):
    with own_gpu(2, tmp_path) as first, own_gpu(2, tmp_path) as second, own_gpu(2, tmp_path) as third:
        assert (first, second, third) == (0, 1, None)
    with own_gpu(2, tmp_path) as again:
        assert again == 0


def test_visible_gpus_are_told_apart_by_their_own_names(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    with own_gpu(2, tmp_path) as first:
        assert first == 0
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,3")  # another sweep, which sees them the other way round
        with own_gpu(2, tmp_path) as second:
            assert second == 0
            with own_gpu(2, tmp_path) as third:
                assert third is None


def test_on_failure_stop_sees_a_failed_job(tmp_path):
    left_job(tmp_path, "0_x", ["act=elu"], "completed")
    assert not has_failed(tmp_path)
    left_job(tmp_path, "1_x", ["act=relu"], "failed")
    assert has_failed(tmp_path)
