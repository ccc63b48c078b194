"""Finds the newest whole checkpoint of a run, and the checkpoint that a setting names."""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path
from zipfile import is_zipfile

from gradvitals.checkpoints.rotation import newest_first
from gradvitals.checkpoints.verify import is_whole
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError
from gradvitals.results.result import Result
from gradvitals.results.status import Status

# Overrides that leave the network, data and training of an experiment unchanged.
HARMLESS = ("seed=", "tags=", "threads=", "task_name=", "data.root=", "logger", "hydra.", "paths.", "monitor")

LAST, LATEST, SAFETENSORS = "checkpoints/last.ckpt", "latest:", ".safetensors"


def newest(run_dir: Path) -> Path | None:
    """Returns the newest whole checkpoint of a run, and warns of damaged ones; None where there is none at all.

    The first process alone compares checksums, which reads the whole file. The others take the newest that can be
    opened, until they are given the first one's choice (:class:`gradvitals.app.processes.same_config.SameConfig`).

    Raises:
        ConfigError: there are some, and all are damaged.
    """
    found = newest_first(run_dir / "checkpoints")
    is_usable = is_whole if is_first_process() else is_zipfile
    damaged = list(takewhile(lambda path: not is_usable(path), found))
    names = ", ".join(path.name for path in damaged)
    if found and len(damaged) == len(found):
        raise ConfigError(
            f"resume={run_dir}: expected a whole checkpoint; all are damaged: {names}. Train again without resume"
        )
    if damaged and is_first_process():
        print(f"gradvitals: damaged: {names}; resuming from {found[len(damaged)].name}", file=sys.stderr)
    return found[len(damaged)] if found else None


def locate(source: str, logs: str) -> Path:
    """Returns the checkpoint that ``weights`` names.

    Args:
        source: a checkpoint; a run directory, for its last one; or ``latest:EXPERIMENT``, for that of the latest
            completed run of that experiment without changes.
        logs: the folder that contains the runs.

    Raises:
        FileNotFoundError: no completed run of that experiment.
    """
    if not source.startswith(LATEST):
        return Path(source) / LAST if Path(source).is_dir() else Path(source)
    runs = [path.parents[1] for path in Path(logs).glob(f"*/*/**/{LAST}")]
    typed = f"experiment={source.removeprefix(LATEST)}"
    found = [run / LAST for run in runs if _is_completed(run, typed)]
    if not found:
        raise FileNotFoundError(
            f"weights={source}: expected a completed run of {typed}, without changes, under {logs}; there is none. "
            f"Train it by python src/train.py {typed}, or set weights=RUN_DIR"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def _is_completed(run: Path, experiment: str) -> bool:
    """Returns whether a run is complete and is that experiment, not a variant of it."""
    result = Result.read(run)
    is_unchanged = all(override == experiment or override.startswith(HARMLESS) for override in result.overrides)
    return result.status is Status.COMPLETED and experiment in result.overrides and is_unchanged
