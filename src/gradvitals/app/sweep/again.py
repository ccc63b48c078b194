"""A sweep's job that is started again in its own directory: by Ray after a crash, by SLURM after a preemption."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from gradvitals.app.errors import Refused
from gradvitals.app.launcher import Launcher
from gradvitals.app.resume import newest
from gradvitals.report.records import Record, read
from gradvitals.report.sweep import UNFINISHED

OF_THE_RUN = ("ckpt_path=", "resume=")  # how a job went on, nothing that it changed


def before(run_dir: Path, overrides: list[str]) -> Record | None:
    """What an earlier start of this job left in its directory; None where this is the first one.

    Args:
        run_dir: of the job.
        overrides: of the job; a result of others there is another job's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> before(folder, ["act=elu"]) is None
        True
        >>> _ = (folder / "result.json").write_text('{"status": "interrupted", "overrides": ["act=elu"]}')
        >>> before(folder, ["act=elu"]).status, before(folder, ["act=relu"])
        ('interrupted', None)
    """
    if Launcher.at_work() and not int(os.environ.get("SLURM_RESTART_COUNT", 0)):
        return None  # what lies there may be another process's, of this very start
    if all(path.name == ".hydra" or path.suffix == ".log" for path in run_dir.iterdir()):  # Hydra's own, of this start
        return None
    left = read(run_dir)
    mine = [word for word in overrides if not word.startswith(OF_THE_RUN)]
    return left if not left.result or left.overrides == mine else None


def has_ended(left: Record) -> bool:
    """Whether nothing is left to do: its worker was lost between its last word and its return."""
    return left.status not in UNFINISHED


def go_on(settings: dict[str, Any], left: Record) -> None:
    """Set a job to go on from its newest whole checkpoint, or to begin anew where there is none.

    Either way what is logged again takes the place of what was logged before.
    """
    settings["resume"] = str(left.folder)
    with suppress(Refused):  # all are damaged: it begins anew
        if checkpoint := newest(left.folder):
            settings["ckpt_path"] = str(checkpoint)
