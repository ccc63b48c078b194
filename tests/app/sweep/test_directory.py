"""The directory of a sweep: which jobs are pending, and whose it is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from gradvitals.app.sweep.directory import claim_directory, pending_jobs
from gradvitals.errors import ConfigError
from tests.app.sweep.left_job import left_job

SUBDIR = "${hydra.job.num}_x"


JOBS = [["act=elu"], ["act=relu"], ["act=tanh"]]


def test_all_is_to_do_in_an_empty_directory(tmp_path):
    places = [words[-1] for words in pending_jobs(JOBS, tmp_path, SUBDIR)]
    assert places == ["hydra.sweep.subdir='0_x'", "hydra.sweep.subdir='1_x'", "hydra.sweep.subdir='2_x'"]


@pytest.mark.parametrize("status", ["completed", "stopped", "diverged"])
def test_what_ended_is_not_run_again(tmp_path, status):
    left_job(tmp_path, "1_x", ["act=relu"], status)
    assert [words[0] for words in pending_jobs(JOBS, tmp_path, SUBDIR)] == ["act=elu", "act=tanh"]


def test_what_failed_is_run_again_beside_the_first_attempt(tmp_path):
    left_job(tmp_path, "1_x", ["act=relu"], "failed", checkpoint=True)
    assert pending_jobs(JOBS, tmp_path, SUBDIR)[1] == ["act=relu", "hydra.sweep.subdir='1_x_attempt2'"]


def test_what_was_killed_goes_on_from_its_checkpoint_where_it_is(tmp_path):
    folder = left_job(tmp_path, "1_x", ["act=relu"], checkpoint=True)
    checkpoint, place = pending_jobs(JOBS, tmp_path, SUBDIR)[1][1:]
    assert checkpoint == f"ckpt_path='{folder / 'checkpoints/last.ckpt'}'"
    assert place == "hydra.sweep.subdir='1_x'"


def test_a_table_that_is_accepted_makes_no_other_job(tmp_path):
    left_job(tmp_path, "0_x", ["act=elu"], "completed")
    folder = left_job(tmp_path, "1_x", ["act=relu"], checkpoint=True)
    accepted = [[*job, "data.changed=accept"] for job in JOBS]
    first, second = pending_jobs(accepted, tmp_path, SUBDIR)
    checkpoint = f"ckpt_path='{folder / 'checkpoints/last.ckpt'}'"
    assert first == ["act=relu", "data.changed=accept", checkpoint, "hydra.sweep.subdir='1_x'"]
    assert second[:2] == ["act=tanh", "data.changed=accept"]


def test_where_the_last_checkpoint_is_damaged_the_one_before_is_taken(tmp_path):
    folder = left_job(tmp_path, "1_x", ["act=relu"], checkpoint=True) / "checkpoints"
    (folder / "last.ckpt").rename(folder / "last-1.ckpt")
    (folder / "last.ckpt").write_bytes(b"torn")
    assert "last-1.ckpt" in pending_jobs(JOBS, tmp_path, SUBDIR)[1][1]
    (folder / "last-1.ckpt").write_bytes(b"torn")
    assert pending_jobs(JOBS, tmp_path, SUBDIR)[1] == ["act=relu", "hydra.sweep.subdir='1_x_attempt2'"]


def test_a_second_attempt_that_ended_counts(tmp_path):
    left_job(tmp_path, "1_x", ["act=relu"], "failed")
    left_job(tmp_path, "1_x_attempt2", ["act=relu"], "completed")
    assert len(pending_jobs(JOBS, tmp_path, SUBDIR)) == 2


def test_a_sweeps_directory_is_claimed_once(tmp_path):
    config = OmegaConf.create({"hydra": {"sweep": {"dir": "typed"}}})
    claim_directory(tmp_path / "sweep", config, resume=False)
    with pytest.raises(ConfigError, match="already contains a sweep. Resume it by resume_sweep="):
        claim_directory(tmp_path / "sweep", config, resume=False)
    claim_directory(tmp_path / "sweep", config, resume=True)


def _claim(folder: Path) -> bool:
    try:
        claim_directory(folder, OmegaConf.create({"hydra": {"sweep": {"dir": "typed"}}}), resume=False)
    except ConfigError:
        return False
    return True


def test_of_many_sweeps_of_the_same_moment_one_gets_the_directory(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(_claim, [tmp_path / "sweep"] * 64))
    assert sum(claimed) == 1
