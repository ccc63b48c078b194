"""A sweep's job that its launcher starts again in the same directory: no curve twice, and nothing that is done."""

from __future__ import annotations

import csv
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

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
