"""``resume=latest``, ``resume=RUN_DIR``, ``resume_sweep=DIR``, ``join_sweep=DIR``: a command again, in its directory.

The command line is rewritten before Hydra starts, because Hydra writes the run directory before the job begins.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from gradvitals.app.config.compose import CONF
from gradvitals.app.config.overrides import quoted, replayed
from gradvitals.checkpoints.locate import newest
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.results.result import Result

LONGER = "trainer.max_epochs"
# What may be typed beside resume: a longer fit, and on how many devices.
PLACE = ("trainer.devices=", "trainer.num_nodes=")
BESIDE = (f"{LONGER}=", "trainer=", *PLACE, "data.batch_size=")
WHERE = ("paths.logs", "task_name")  # and beside resume=latest: where the runs are
# What may be typed beside resume_sweep and join_sweep: where its jobs run, and how many more a search tries.
BESIDE_SWEEP = ("hydra/launcher=", "hydra.launcher.", "hydra.sweeper.n_trials=", "hydra.sweeper.n_jobs=")
AS_BEFORE = ("hydra.sweeper.resume=", "hydra.sweeper.join=")  # how an earlier command came to the sweep


class AlreadyCompleted(Exception):
    """The run has nothing left to do."""


def rewrite(argv: list[str]) -> list[str]:
    """The command line that continues a run or a sweep; the same one where neither is typed.

    Args:
        argv: program and overrides.

    Raises:
        Refused: no such run, no whole checkpoint, or something typed beside that a resumed run cannot change.
        AlreadyCompleted: the run has come to its end and no longer fit was asked for.
    """
    for key in ("resume_sweep", "join_sweep"):
        if (sweep := _typed(argv, key)) is not None:
            return _rewrite_sweep(argv, key, Path(sweep))
    if (resume := _typed(argv, "resume")) is None:
        return argv
    where = tuple(f"{key}=" for key in WHERE) if resume == "latest" else ()
    typed = [word for word in argv[1:] if not word.startswith(("resume=", *where))]
    if foreign := [word for word in typed if not word.startswith(BESIDE)]:
        allowed = ", ".join(word.rstrip("=") for word in (*BESIDE, *where))
        raise ConfigError(
            f"resume={resume}: a run continues as it was; only {allowed} may be typed beside; got {foreign[0]}"
        )
    run_dir = _latest(argv) if resume == "latest" else Path(resume)
    saved = run_dir / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        raise ConfigError(f"resume={resume}: expected a run directory; {run_dir} holds no .hydra/overrides.yaml")
    if _nothing_left(run_dir, typed):
        raise AlreadyCompleted(f"{run_dir} {_how_it_ended(run_dir)}. To train longer: resume={run_dir} {LONGER}=N")
    words, checkpoint = _saved_words(saved), newest(run_dir)
    mine = ("resume=", *(word.partition("=")[0] + "=" for word in typed), *(["ckpt_path="] if checkpoint else []))
    mine += PLACE if ClusterEnvironment.at_work() else ()  # it says how many there are
    kept = [word for word in words if not word.startswith(mine)]
    begin = [f"ckpt_path={quoted(checkpoint)}"] if checkpoint else []  # killed before the first one: from the start
    as_it_was = [] if typed else ["hydra.output_subdir=null"]  # what is not written anew cannot be torn by a kill
    here = [f"resume={quoted(run_dir)}", f"hydra.run.dir={quoted(run_dir)}"]
    return [argv[0], *kept, *typed, *begin, *here, *as_it_was]


def _saved_words(saved: Path) -> list[str]:
    """The overrides that a run was started with."""
    if not saved.read_text(encoding="utf-8").strip():
        raise ConfigError(f"{saved} is empty: the run was killed while it was being written. Start it anew")
    return replayed(OmegaConf.load(saved), saved)


def _typed(argv: list[str], key: str) -> str | None:
    """The value of a typed key; None where it is not typed, or null."""
    value = next((word.partition("=")[2] for word in argv[1:] if word.startswith(f"{key}=")), "")
    return None if value in ("", "null") else value


def _rewrite_sweep(argv: list[str], key: str, sweep_dir: Path) -> list[str]:
    """The command line of a sweep again, in its directory; its sweeper leaves out what has ended, or others have."""
    typed = [word for word in argv[1:] if not word.startswith(f"{key}=") and word not in ("-m", "--multirun")]
    if foreign := [word for word in typed if not word.startswith(BESIDE_SWEEP)]:
        allowed = ", ".join(word.rstrip("=.") for word in BESIDE_SWEEP)
        raise ConfigError(f"{key}: a sweep continues as it was; only {allowed} may be typed beside; got {foreign[0]}")
    saved = sweep_dir / "multirun.yaml"
    if not saved.is_file():
        raise ConfigError(f"{key}={sweep_dir}: expected a sweep's directory; there is no {saved}")
    config = OmegaConf.load(saved).hydra
    if key == "join_sweep" and "n_trials" not in config.sweeper:
        raise ConfigError(
            f"join_sweep={sweep_dir}: expected a search, whose workers choose trial by trial; the jobs of a grid are"
            " all given out by its first command. To run one on many machines: hydra/launcher=ray or submitit_slurm"
        )
    mine = ("hydra.sweep.dir=", *AS_BEFORE, *(word.partition("=")[0] + "=" for word in typed))
    words = [*map(str, config.overrides.task), *map(str, config.overrides.hydra)]
    kept = replayed([word for word in words if not word.startswith(mine)], saved)
    how = f"hydra.sweeper.{key.removesuffix('_sweep')}=true"
    return [argv[0], *kept, *typed, f"hydra.sweep.dir={quoted(sweep_dir)}", how]


def _latest(argv: list[str]) -> Path:
    """The newest run where the command line and the config say that runs are."""
    config = OmegaConf.load(CONF / "train.yaml")
    logs, task_name = (str(_last_typed(argv, key) or OmegaConf.select(config, key)) for key in WHERE)
    folder = Path(logs) / task_name / "runs"
    runs = sorted(path for path in folder.glob("*") if (path / ".hydra").is_dir())
    if not runs:
        raise ConfigError(
            f"resume=latest: expected a run under {folder}; there is none in {Path.cwd()}. Runs of another folder: set "
            f"{' or '.join(WHERE)} as they were"
        )
    return runs[-1]


def _last_typed(argv: list[str], key: str) -> Any:
    """The value of a key as Hydra reads it; None where it is not typed."""
    words = [word for word in argv[1:] if word.startswith(f"{key}=")]
    return OverridesParser.create().parse_override(words[-1]).value() if words else None


def _how_it_ended(run_dir: Path) -> str:
    status = Result.read(run_dir).status
    return "is complete" if status == "completed" else f"has ended: {status}"


def _nothing_left(run_dir: Path, typed: list[str]) -> bool:
    """Whether the run has come to its end and is asked for no more epochs than it has."""
    result = Result.read(run_dir)
    wanted = [word.partition("=")[2] for word in typed if word.startswith(f"{LONGER}=")]
    if not result.status.is_over or not wanted:
        return result.status.is_over
    return wanted[-1].isdecimal() and int(wanted[-1]) <= (result.epochs or 0)
