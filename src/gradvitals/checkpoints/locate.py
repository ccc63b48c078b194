"""Finds the newest whole checkpoint of a run, and the checkpoint that a setting names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import takewhile
from pathlib import Path
from zipfile import is_zipfile

from gradvitals.checkpoints.rotation import newest_first
from gradvitals.checkpoints.verify import is_whole
from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError
from gradvitals.formatting import command
from gradvitals.results.result import Result
from gradvitals.results.run_names import closest_runs
from gradvitals.results.status import Status

# Overrides that leave the network, data and training of an experiment unchanged.
HARMLESS = ("seed=", "tags=", "threads=", "task_name=", "data.root=", "logger", "hydra.", "paths.", "monitor")

BEST, LAST = "checkpoints/best.ckpt", "checkpoints/last.ckpt"
LATEST, SAFETENSORS = "latest:", ".safetensors"


def newest(run_dir: Path, key: str = "resume") -> Path | None:
    """Returns the newest whole checkpoint of a run, and warns of damaged ones; None where there is none at all.

    The first process alone compares checksums, which reads the whole file. The others take the newest that can be
    opened, until they are given the first one's choice (:class:`gradvitals.app.processes.same_config.SameConfig`).

    Args:
        key: the setting that named the run, for the error.

    Raises:
        ConfigError: there are some, and all are damaged.
    """
    found = newest_first(run_dir / "checkpoints")
    is_usable = is_whole if is_first_process() else is_zipfile
    damaged = list(takewhile(lambda path: not is_usable(path), found))
    names = ", ".join(path.name for path in damaged)
    if found and len(damaged) == len(found):
        raise ConfigError(
            f"{key}={run_dir}: expected a whole checkpoint; all are damaged: {names}. Train again without {key}"
        )
    if damaged and is_first_process():
        print(f"gradvitals: damaged: {names}; resuming from {found[len(damaged)].name}", file=sys.stderr)
    return found[len(damaged)] if found else None


def locate(source: str, logs: str) -> Path:
    """Returns the file whose weights ``weights`` names.

    Args:
        source: a file; a run directory, for its best checkpoint, or its last one where there is no best; or
            ``latest:EXPERIMENT``, for that of the latest completed run of that experiment without changes.
        logs: the folder that contains the runs.

    Raises:
        FileNotFoundError: no such file or run, no checkpoint in it, or no completed run of that experiment.
    """
    path = _latest(source, logs) if source.startswith(LATEST) else Path(source)
    return _found(path, "weights", logs, lambda run: [run / BEST, *newest_first(run / "checkpoints")])


def locate_state(source: str, logs: str) -> Path:
    """Returns the file that a fit resumes from: ``ckpt_path`` itself, or the newest whole checkpoint of a run.

    Raises:
        ConfigError: all checkpoints of that run are damaged.
        FileNotFoundError: no such file or run, or no checkpoint in it.
    """
    return _found(Path(source), "ckpt_path", logs, lambda run: [newest(run, "ckpt_path")])


def _found(path: Path, key: str, logs: str, of_run: Callable[[Path], Sequence[Path | None]]) -> Path:
    """The file itself, or of a run directory the first one that is there."""
    candidates = of_run(path) if path.is_dir() else [path]
    if found := next((file for file in candidates if file is not None and file.is_file()), None):
        return found
    expected = "expected a checkpoint or a run directory; there is"
    if path.is_dir():
        close = "" if (path / ".hydra").is_dir() else closest_runs(path, Path(logs))
        raise FileNotFoundError(f"{key}={path}: {expected} none in {path / 'checkpoints'}{close}")
    names = sorted(file.name for file in path.parent.glob("*.ckpt"))
    close = f". {path.parent} contains {', '.join(names)}" if names else closest_runs(path, Path(logs))
    raise FileNotFoundError(f"{key}: {expected} no {path}{close}")


def _latest(source: str, logs: str) -> Path:
    experiment = f"experiment={source.removeprefix(LATEST)}"
    runs = [path.parents[1] for path in Path(logs).glob(f"*/*/**/{LAST}")]
    found = [run for run in runs if _is_completed(run, experiment)]
    if not found:
        raise FileNotFoundError(
            f"weights={source}: expected a completed run of {experiment}, without changes, under {logs}; there is none."
            f" Train it by {command('train')} {experiment}, or set weights=RUN_DIR"
        )
    return max(found, key=lambda run: (run / LAST).stat().st_mtime)


def _is_completed(run: Path, experiment: str) -> bool:
    """Returns whether a run is complete and is that experiment, not a variant of it."""
    result = Result.read(run)
    is_unchanged = all(override == experiment or override.startswith(HARMLESS) for override in result.overrides)
    return result.status is Status.COMPLETED and experiment in result.overrides and is_unchanged
