"""A sweep's directory: one command claims it, and it says which jobs are still to be run."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import quoted
from gradvitals.app.config.run_directory import candidates, is_named_by_overrides
from gradvitals.app.config.validate import check_values
from gradvitals.app.run.opening_lines import announce_directory
from gradvitals.checkpoints.locate import newest
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.formatting import in_shell
from gradvitals.results.objective import AUTO, warn_if_guessed
from gradvitals.results.record import Record, below, without_run_keys

NUMBER = "${hydra.job.num}"
CONFIG = "multirun.yaml"  # as Hydra names it
Overrides = tuple[str, ...]


def begin_sweep(config: DictConfig, is_known: bool) -> Path:
    """Prepares the directory of a sweep, and returns it.

    Args:
        config: the sweep's; all jobs get the absolute path of its directory, because a cluster's workers may have been
            started in another one.
        is_known: whether the sweep is resumed or joined.

    Raises:
        ConfigError: another sweep has the directory, or a launcher of processes has started this command.
    """
    sweep_dir = claim_directory(Path(config.hydra.sweep.dir), config, is_known)
    announce_directory("sweep", sweep_dir)
    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(sweep_dir.absolute())}")
    warn_if_guessed(*(str(config.get(key, AUTO)) for key in ("objective", "objective_mode")))
    return sweep_dir


def claim_directory(sweep_dir: Path, config: DictConfig, resume: bool) -> Path:
    """Claims a directory for a sweep by writing its config there, which only one command can do, and returns it.

    Where its name is made of the overrides and another sweep has it, ``-2`` and so on is put behind it.
    """
    if launcher := ClusterEnvironment.at_work():
        raise ConfigError(
            f"a multirun starts the processes of each job itself; {launcher.name} has started "
            f"{launcher.processes * launcher.machines}, of which each would run it all. Type trainer=ddp without "
            f"{launcher.name}, or hydra/launcher=submitit_slurm"
        )
    if resume:
        return sweep_dir
    # A part of the directory's name; the jobs would check it too late.
    check_values({"task_name": config.get("task_name", "train")})
    names = candidates(sweep_dir) if is_named_by_overrides(config.hydra.sweep) else iter([sweep_dir])
    for name in names:
        if _claim(name, config):
            return name
    remedy = f"Resume it by resume_sweep={in_shell(sweep_dir)}, or choose another hydra.sweep.dir"
    raise ConfigError(f"{sweep_dir} already contains a sweep. {remedy}")


def _claim(sweep_dir: Path, config: DictConfig) -> bool:
    sweep_dir.mkdir(parents=True, exist_ok=True)
    config.hydra.sweep.dir = str(sweep_dir)
    try:
        with (sweep_dir / CONFIG).open("x", encoding="utf-8") as file:
            file.write(OmegaConf.to_yaml(config))
    except FileExistsError:
        return False
    return True


def attempts(sweep_dir: Path) -> dict[Overrides, list[Record]]:
    """Reads the runs in a sweep's directory, by their overrides, in the order in which they were made."""
    found: dict[Overrides, list[Record]] = {}
    for record in below(sweep_dir):
        found.setdefault(tuple(record.overrides), []).append(record)
    return found


def pending_jobs(jobs: Sequence[Sequence[str]], sweep_dir: Path, subdir: str) -> list[list[str]]:
    """Returns the jobs that are not over, each with the override that names its directory.

    A job that was lost is resumed from its newest checkpoint in its own directory. One that failed, or has no
    checkpoint, is run again in a directory beside the first one: nothing is overwritten.

    Args:
        subdir: ``hydra.sweep.subdir``, not resolved.
    """
    made = attempts(sweep_dir)
    tried = [made.get(tuple(without_run_keys(job)), []) for job in jobs]
    return [
        [*job, *_directory_of(number, records, subdir)]
        for number, (job, records) in enumerate(zip(jobs, tried, strict=True))
        if not any(record.status.is_over for record in records)
    ]


def _directory_of(number: int, tried: Sequence[Record], subdir: str) -> list[str]:
    """Overrides that name the directory of a job, and the checkpoint that it is resumed from."""
    for record in reversed(tried):
        checkpoint = None
        with suppress(ConfigError):  # all are damaged
            checkpoint = newest(record.folder) if record.status.is_lost else None
        if checkpoint is not None:
            return [f"ckpt_path={quoted(checkpoint)}", f"hydra.sweep.subdir={quoted(Path(record.folder.name))}"]
    return [in_subdir(subdir, number, f"_attempt{len(tried) + 1}" if tried else "")]


def subdir_of(config: DictConfig) -> str:
    """Returns ``hydra.sweep.subdir``, not resolved."""
    subdir: str = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[call-overload,index]
    return subdir


def in_subdir(subdir: str, number: int, suffix: str = "") -> str:
    """Returns the override that names a job's directory by its number in the sweep, not in its launcher.

    Example:
        >>> in_subdir("${hydra.job.num}_x", 7)
        "hydra.sweep.subdir='7_x'"
    """
    return f"hydra.sweep.subdir='{subdir.replace(NUMBER, str(number))}{suffix}'"
