"""Which jobs of a sweep are still to be run, told from the directories of those that were."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.config.overrides import quoted
from gradvitals.app.config.validate import check_values
from gradvitals.checkpoints.locate import newest
from gradvitals.distributed.cluster_environment import ClusterEnvironment
from gradvitals.errors import ConfigError
from gradvitals.results.record import Record, below
from gradvitals.results.status import UNFINISHED

NUMBER = "${hydra.job.num}"
Overrides = tuple[str, ...]

CONFIG = "multirun.yaml"  # as Hydra names it


def attempts(sweep_dir: Path) -> dict[Overrides, list[Record]]:
    """The runs in a sweep's directory by what was typed for them, in the order they were made."""
    found: dict[Overrides, list[Record]] = {}
    for record in below(sweep_dir):
        found.setdefault(tuple(record.overrides), []).append(record)
    return found


def pending_jobs(jobs: Sequence[Sequence[str]], sweep_dir: Path, subdir: str) -> list[list[str]]:
    """The jobs that have not ended, each with the directory that it goes to.

    What was lost with a checkpoint goes on from it where it is. What failed or never got so far is run again in a
    directory beside the first one: nothing is overwritten.

    Args:
        jobs: overrides of every job of the sweep, in their order.
        sweep_dir: where they lie.
        subdir: ``hydra.sweep.subdir``, not resolved.
    """
    made = attempts(sweep_dir)
    waiting = []
    for number, job in enumerate(jobs):
        tried = made.get(tuple(job), [])
        if all(record.status in UNFINISHED for record in tried):
            waiting.append([*job, *_place(number, tried, subdir)])
    return waiting


def subdir_of(config: DictConfig) -> str:
    """Where the jobs of a sweep go in its directory, not resolved."""
    subdir: str = OmegaConf.to_container(config.hydra.sweep, resolve=False)["subdir"]  # type: ignore[call-overload,index]
    return subdir


def in_subdir(subdir: str, number: int, again: str = "") -> str:
    """The override that sends a job to the directory of its number, whatever number its launcher gives it.

    Example:
        >>> in_subdir("${hydra.job.num}_x", 7)
        "hydra.sweep.subdir='7_x'"
    """
    return f"hydra.sweep.subdir='{subdir.replace(NUMBER, str(number))}{again}'"


def _place(number: int, tried: Sequence[Record], subdir: str) -> list[str]:
    """Where a job goes, and the checkpoint that it continues from."""
    lost = [record for record in tried if record.status != "failed"]
    checkpoint = None
    for record in reversed(lost):
        with suppress(ConfigError):  # all are damaged: it is run again
            checkpoint = newest(record.folder)
        if checkpoint is not None:
            return [f"ckpt_path={quoted(checkpoint)}", f"hydra.sweep.subdir={quoted(Path(record.folder.name))}"]
    again = f"_attempt{len(tried) + 1}" if tried else ""
    return [in_subdir(subdir, number, again)]


def claim_directory(sweep_dir: Path, config: DictConfig, resume: bool) -> None:
    """Make the directory this sweep's own by writing its config there, which only one can do.

    Raises:
        Refused: another sweep was first.
    """
    if launcher := ClusterEnvironment.at_work():
        raise ConfigError(
            f"a multirun starts the processes of each job itself; {launcher.name} has started "
            f"{launcher.processes * launcher.machines}, of which each would run it all. Type trainer=ddp without "
            f"{launcher.name}, or hydra/launcher=submitit_slurm"
        )
    if resume:
        return
    # A part of the directory's name; the jobs would check it too late.
    check_values({"task_name": config.get("task_name", "train")})
    sweep_dir.mkdir(parents=True, exist_ok=True)
    try:
        with (sweep_dir / CONFIG).open("x", encoding="utf-8") as file:
            file.write(OmegaConf.to_yaml(config))
    except FileExistsError:
        way_out = f"Go on with it by resume_sweep={sweep_dir}, or choose another hydra.sweep.dir"
        raise ConfigError(f"{sweep_dir} already holds a sweep. {way_out}") from None


def pin_down(config: DictConfig) -> None:
    """Send all jobs to this directory by its absolute path: a cluster's workers may have been started anywhere."""
    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={quoted(Path(config.hydra.sweep.dir).absolute())}")
