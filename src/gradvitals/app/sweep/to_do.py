"""Which jobs of a sweep are still to be run, told from the directories of those that were."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf

from gradvitals.app.errors import Refused
from gradvitals.app.names import quoted
from gradvitals.app.resume import newest
from gradvitals.report.records import Record, below
from gradvitals.report.sweep import UNFINISHED

NUMBER = "${hydra.job.num}"
Overrides = tuple[str, ...]


def attempts(sweep_dir: Path) -> dict[Overrides, list[Record]]:
    """The runs in a sweep's directory by what was typed for them, in the order they were made."""
    found: dict[Overrides, list[Record]] = {}
    for record in below(sweep_dir):
        found.setdefault(tuple(record.overrides), []).append(record)
    return found


def to_do(jobs: Sequence[Sequence[str]], sweep_dir: Path, subdir: str) -> list[list[str]]:
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
        with suppress(Refused):  # all are damaged: it is run again
            checkpoint = newest(record.folder)
        if checkpoint is not None:
            return [f"ckpt_path={quoted(checkpoint)}", f"hydra.sweep.subdir={quoted(Path(record.folder.name))}"]
    again = f"_attempt{len(tried) + 1}" if tried else ""
    return [in_subdir(subdir, number, again)]
