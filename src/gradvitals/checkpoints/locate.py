"""Finds checkpoints, and the newest of a run that is whole."""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path
from zipfile import BadZipFile, ZipFile, is_zipfile

from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import ConfigError
from gradvitals.formatting import natural
from gradvitals.results.result import Result
from gradvitals.results.status import Status

# What may be typed beside an experiment and leave its net, data and training as they are.
HARMLESS = ("seed=", "tags=", "threads=", "task_name=", "data.root=", "logger", "hydra.", "paths.", "monitor")

LAST, LATEST, SAFETENSORS = "checkpoints/last.ckpt", "latest:", ".safetensors"


def newest(run_dir: Path) -> Path | None:
    """Returns the newest whole checkpoint of a run, and warns of damaged ones; None where there is none at all.

    The first process alone compares checksums, which reads all of the file. The others take the newest that can be
    opened, until they are given the first one's choice (:class:`gradvitals.app.processes.same_config.SameConfig`).

    Raises:
        Refused: there are some, and all are damaged.
    """
    folder = run_dir / "checkpoints"
    by_age = sorted(folder.glob("last-*.ckpt"), key=lambda path: natural(path.name))
    found = [path for path in (folder / "new.ckpt", folder / "last.ckpt", *by_age) if path.is_file()]
    is_usable = is_whole if is_first_process() else is_zipfile
    damaged = list(takewhile(lambda path: not is_usable(path), found))
    if found and len(damaged) == len(found):
        names = ", ".join(path.name for path in damaged)
        raise ConfigError(
            f"resume={run_dir}: expected a whole checkpoint; all are damaged: {names}. Start anew without resume"
        )
    if damaged and is_first_process():
        names = ", ".join(path.name for path in damaged)
        print(f"gradvitals: damaged: {names}; going on from {found[len(damaged)].name}", file=sys.stderr)
    return found[len(damaged)] if found else None


def is_whole(path: Path) -> bool:
    """Whether a checkpoint's file is an archive whose parts all have their checksums; nothing in it is run."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile, ValueError, NotImplementedError):
        return False


def locate(source: str, logs: str) -> Path:
    """The checkpoint that ``weights`` names.

    Args:
        source: a checkpoint; a run directory, for its last one; or ``latest:EXPERIMENT``, for that of the latest
            completed run of that experiment as it stands.
        logs: the folder under which runs lie.

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
            f"weights={source}: expected a completed run of {typed} as it stands under {logs}; there is none. "
            f"Train it by python src/train.py {typed}, or set weights=RUN_DIR"
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def _is_completed(run: Path, experiment: str) -> bool:
    """Whether a run is complete and is that experiment as it stands, not a variant of it."""
    result = Result.read(run)
    others = [word for word in result.overrides if word != experiment]
    as_it_stands = len(others) < len(result.overrides) and all(o.startswith(HARMLESS) for o in others)
    return result.status is Status.COMPLETED and as_it_stands
