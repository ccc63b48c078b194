"""The parts of a sweep, each by itself."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gradvitals.app.commands.resume import rewrite
from gradvitals.app.sweep.directory import claim_directory, pending_jobs
from gradvitals.app.sweep.progress import Progress, duration, line
from gradvitals.app.sweep.sweep_job import has_failed, own_gpu
from gradvitals.app.sweep.sweep_summary import watched_sweep
from gradvitals.errors import ConfigError
from gradvitals.results.result import Result

SUBDIR = "${hydra.job.num}_x"
JOBS = [["act=elu"], ["act=relu"], ["act=tanh"]]


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


def test_all_is_to_do_in_an_empty_directory(tmp_path):
    places = [words[-1] for words in pending_jobs(JOBS, tmp_path, SUBDIR)]
    assert places == ["hydra.sweep.subdir='0_x'", "hydra.sweep.subdir='1_x'", "hydra.sweep.subdir='2_x'"]


@pytest.mark.parametrize("status", ["completed", "stopped", "diverged"])
def test_what_ended_is_not_run_again(tmp_path, status):
    job(tmp_path, "1_x", ["act=relu"], status)
    assert [words[0] for words in pending_jobs(JOBS, tmp_path, SUBDIR)] == ["act=elu", "act=tanh"]


def test_what_failed_is_run_again_beside_the_first_attempt(tmp_path):
    job(tmp_path, "1_x", ["act=relu"], "failed", checkpoint=True)
    assert pending_jobs(JOBS, tmp_path, SUBDIR)[1] == ["act=relu", "hydra.sweep.subdir='1_x_attempt2'"]


def test_what_was_killed_goes_on_from_its_checkpoint_where_it_is(tmp_path):
    folder = job(tmp_path, "1_x", ["act=relu"], checkpoint=True)
    checkpoint, place = pending_jobs(JOBS, tmp_path, SUBDIR)[1][1:]
    assert checkpoint == f"ckpt_path='{folder / 'checkpoints/last.ckpt'}'"
    assert place == "hydra.sweep.subdir='1_x'"


def test_where_the_last_checkpoint_is_damaged_the_one_before_is_taken(tmp_path):
    folder = job(tmp_path, "1_x", ["act=relu"], checkpoint=True) / "checkpoints"
    (folder / "last.ckpt").rename(folder / "last-1.ckpt")
    (folder / "last.ckpt").write_bytes(b"torn")
    assert "last-1.ckpt" in pending_jobs(JOBS, tmp_path, SUBDIR)[1][1]
    (folder / "last-1.ckpt").write_bytes(b"torn")
    assert pending_jobs(JOBS, tmp_path, SUBDIR)[1] == ["act=relu", "hydra.sweep.subdir='1_x_attempt2'"]


def test_a_second_attempt_that_ended_counts(tmp_path):
    job(tmp_path, "1_x", ["act=relu"], "failed")
    job(tmp_path, "1_x_attempt2", ["act=relu"], "completed")
    assert len(pending_jobs(JOBS, tmp_path, SUBDIR)) == 2


def test_a_sweeps_directory_is_claimed_once(tmp_path):
    config = OmegaConf.create({"a": 1})
    claim_directory(tmp_path / "sweep", config, resume=False)
    with pytest.raises(ConfigError, match="already contains a sweep. Resume it by resume_sweep="):
        claim_directory(tmp_path / "sweep", config, resume=False)
    claim_directory(tmp_path / "sweep", config, resume=True)


def _claim(folder: Path) -> bool:
    try:
        claim_directory(folder, OmegaConf.create({"a": 1}), resume=False)
    except ConfigError:
        return False
    return True


def test_of_many_sweeps_of_the_same_moment_one_gets_the_directory(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        claimed = list(pool.map(_claim, [tmp_path / "sweep"] * 64))
    assert sum(claimed) == 1


def saved(tmp_path: Path) -> Path:
    overrides = {"task": ["act=relu,elu", "seed=0,1"], "hydra": ["hydra.mode=MULTIRUN", "hydra.sweep.dir=old"]}
    OmegaConf.save({"hydra": {"overrides": overrides}}, tmp_path / "multirun.yaml")
    return tmp_path


def test_resuming_is_the_same_command_in_the_same_directory(tmp_path):
    argv = rewrite(["train.py", f"resume_sweep={saved(tmp_path)}", "hydra/launcher=joblib"])
    head, tail = ["train.py", "act=relu,elu", "seed=0,1", "hydra.mode=MULTIRUN"], "hydra.sweeper.resume=true"
    assert argv == [*head, "hydra/launcher=joblib", f"hydra.sweep.dir='{tmp_path}'", tail]


def test_a_sweep_that_is_resumed_stays_what_it_was(tmp_path):
    with pytest.raises(ConfigError, match="only hydra/launcher, hydra.launcher.* may be typed beside; got act=gelu"):
        rewrite(["train.py", f"resume_sweep={saved(tmp_path)}", "act=gelu"])
    with pytest.raises(ConfigError, match="expected a sweep's directory"):
        rewrite(["train.py", "resume_sweep=nowhere"])


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
    job(tmp_path, "0_x", ["act=elu"], "completed")
    assert not has_failed(tmp_path)
    job(tmp_path, "1_x", ["act=relu"], "failed")
    assert has_failed(tmp_path)


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


def distributions(*words: str):
    from gradvitals.app.sweep.search_space import space_of

    return space_of(OverridesParser.create().parse_overrides(list(words)))


def test_hydras_words_are_optunas_distributions():
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    space, shared = distributions(
        "act=choice(relu,elu)",
        "model=plain,bn",
        "model.depth=int(interval(2,12))",
        "model.width=range(16,65,16)",
        "optimizer.lr=tag(log,interval(1e-4,0.1))",
        "init.gain=range(0.5,2.0,0.5)",
        "seed=3",
    )
    assert space == {
        "act": CategoricalDistribution(["relu", "elu"]),
        "model": CategoricalDistribution(["plain", "bn"]),
        "model.depth": IntDistribution(2, 12),
        "model.width": IntDistribution(16, 64, step=16),
        "optimizer.lr": FloatDistribution(1e-4, 0.1, log=True),
        "init.gain": FloatDistribution(0.5, 1.5, step=0.5),
    }
    assert shared == ["seed=3"]


def test_a_typed_word_replaces_that_of_the_file():
    space, shared = distributions("act=choice(relu,elu)", "act=tanh")
    assert (space, shared) == ({}, ["act=tanh"])


def test_a_range_that_cannot_be_searched():
    with pytest.raises(ConfigError, match="no range that can be searched"):
        distributions("optimizer.lr=tag(log,interval(0.0,1.0))")


def test_a_clusters_settings_are_said_again_and_what_runs_code_is_not():
    from gradvitals.app.config.overrides import Overrides

    ray = ["ray.init.address=auto", "ray.init.num_cpus=2", "ray.remote.num_gpus=0.5", "ray.remote.max_retries=3"]
    slurm = ["partition=gpu", "gpus_per_node=2", "mem_gb=32", "signal_delay_s=60", "max_num_timeout=9", "exclude=node7"]
    words = [f"hydra.launcher.{word}" for word in (*ray, *slurm)]
    assert list(Overrides.replay(words, Path("multirun.yaml"))) == words
    runs = ["setup=[reboot]", "+srun_args=[--prolog=x]", "additional_parameters.prolog=x", "submitit_folder=pickles"]
    runs += ["ray.init.address=192.0.2.9:6379", "+ray.init.runtime_env.working_dir=x", "+ray.remote.runtime_env=x"]
    for word in runs:
        typed = word.replace("+", "+hydra.launcher.") if "+" in word else f"hydra.launcher.{word}"
        with pytest.raises(ConfigError, match="expected settings of a run"):
            Overrides.replay([typed], Path("x"))


def test_jobs_that_leave_nothing_here_are_told(tmp_path):
    with (
        pytest.raises(ConfigError, match="expected directories of 2 jobs; there is none. Let all machines"),
        watched_sweep(tmp_path, total=2, pending=2),
    ):
        pass
