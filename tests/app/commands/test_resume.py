"""A resume reads its checkpoint once, and all processes read the same one."""

from __future__ import annotations

import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf

from gradvitals.app.commands.resume import rewrite
from gradvitals.app.processes.same_config import SameConfig
from gradvitals.checkpoints.atomic_io import AtomicCheckpointIO
from gradvitals.checkpoints.locate import newest
from gradvitals.errors import ConfigError
from gradvitals.loggers.write_errors import WriteErrors

SMALL = ("model.depth=1", "model.width=4", "logger=none", "report=false", "test=false", "seed=null")


@pytest.fixture
def counted(monkeypatch) -> dict[str, int]:
    """How often a file's checksums are compared, and how often a whole checkpoint is unpickled."""
    counts = {"testzip": 0, "load": 0}

    def testzip(archive, original=zipfile.ZipFile.testzip):
        counts["testzip"] += 1
        return original(archive)

    def load(*args, original=torch.load, **kwargs):
        counts["load"] += not kwargs.get("mmap")
        return original(*args, **kwargs)

    monkeypatch.setattr(zipfile.ZipFile, "testzip", testzip)
    monkeypatch.setattr(torch, "load", load)
    return counts


def resumed(run_dir) -> list[str]:
    """What is typed to train a run for a second epoch, but for Hydra's own keys."""
    (run_dir / ".hydra").mkdir(exist_ok=True)
    (run_dir / ".hydra" / "overrides.yaml").write_text("".join(f"- {word}\n" for word in SMALL))
    words = rewrite(["train.py", f"resume={run_dir}", "trainer.max_epochs=2"])[1:]
    return [word for word in words if not word.startswith("hydra.")]


def test_a_resume_verifies_and_reads_the_checkpoint_once(train_here, tmp_path, counted):
    train_here(*SMALL, "trainer.max_epochs=1")
    counted.update(testzip=0, load=0)
    train_here(*resumed(tmp_path))
    assert counted == {"testzip": 1, "load": 1}
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["epoch"] == 2


def test_a_checkpoint_that_is_typed_is_verified_once(train_here, tmp_path, counted):
    train_here(*SMALL, "trainer.max_epochs=1")
    counted.update(testzip=0, load=0)
    ckpt_path = f"ckpt_path='{tmp_path}/checkpoints/last.ckpt'"
    train_here(*SMALL, "trainer.max_epochs=2", ckpt_path, run_dir=tmp_path / "other")
    assert counted == {"testzip": 1, "load": 1}


@pytest.mark.parametrize("variables", [{"LOCAL_RANK": "1"}, {"NODE_RANK": "1"}])
def test_the_other_processes_verify_nothing(train_here, tmp_path, counted, monkeypatch, variables):
    train_here(*SMALL, "trainer.max_epochs=1")
    counted.update(testzip=0, load=0)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert newest(tmp_path).name == "last.ckpt"
    assert counted == {"testzip": 0, "load": 0}


def test_what_cannot_be_opened_is_passed_over_by_all(train_here, tmp_path, monkeypatch):
    train_here(*SMALL, "trainer.max_epochs=1")
    (tmp_path / "checkpoints/new.ckpt").write_bytes(b"PK\x03\x04 and no more")
    assert newest(tmp_path).name == "last.ckpt"
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert newest(tmp_path).name == "last.ckpt"


def agreed(paths, rank) -> AtomicCheckpointIO:
    """What a process reads by, after the processes were given these paths."""
    io = AtomicCheckpointIO(WriteErrors("continue"))
    trainer = SimpleNamespace(strategy=SimpleNamespace(checkpoint_io=io))
    same = SameConfig.__new__(SameConfig)
    same._ckpt_path = paths[rank]
    same._agree_on_checkpoint(trainer, paths)
    return io


def test_all_processes_read_the_checkpoint_that_the_first_one_verified(tmp_path):
    for number in (1, 2):
        torch.save({"number": number}, tmp_path / f"{number}.ckpt")
    paths = [str(tmp_path / "1.ckpt"), str(tmp_path / "2.ckpt")]
    for rank in (0, 1):
        assert agreed(paths, rank).load_checkpoint(paths[rank], weights_only=True) == {"number": 1}
    with pytest.raises(ConfigError, match="different checkpoints to resume from"):
        agreed([paths[0], None], 1)


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
