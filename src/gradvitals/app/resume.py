"""``resume=latest`` or ``resume=RUN_DIR``: the same command again, in the same directory, from its last checkpoint.

The command line is rewritten before Hydra starts, because Hydra writes the run directory before the job begins.
"""

from __future__ import annotations

import json
from pathlib import Path

from omegaconf import OmegaConf

from gradvitals.app.errors import Refused

RUNS = Path("logs/train/runs")
BESIDE = "trainer.max_epochs"  # what may be typed beside resume: a longer fit


class AlreadyCompleted(Exception):
    """The run has nothing left to do."""


def rewrite(argv: list[str]) -> list[str]:
    """The command line that continues a run; the same one where ``resume`` is not typed.

    Args:
        argv: program and overrides.

    Raises:
        Refused: no such run, no checkpoint in it, or something typed beside that a resumed run cannot change.
        AlreadyCompleted: the run is complete and no longer fit was asked for.
    """
    resume = next((word.partition("=")[2] for word in argv[1:] if word.startswith("resume=")), "null")
    if resume in ("", "null"):
        return argv
    typed = [word for word in argv[1:] if not word.startswith("resume=")]
    if foreign := [word for word in typed if not word.startswith(f"{BESIDE}=")]:
        raise Refused(
            f"resume={resume}: a run continues as it was; only {BESIDE} may be typed beside; got {foreign[0]}"
        )
    run_dir = _latest() if resume == "latest" else Path(resume)
    checkpoint = run_dir / "checkpoints" / "last.ckpt"
    saved = run_dir / ".hydra" / "overrides.yaml"
    if not saved.is_file():
        raise Refused(f"resume={resume}: expected a run directory; {run_dir} holds no .hydra/overrides.yaml")
    if _nothing_left(run_dir, typed):
        raise AlreadyCompleted(f"{run_dir} is complete. To train longer: resume={run_dir} {BESIDE}=N")
    if not checkpoint.is_file():
        raise Refused(f"resume={resume}: expected a checkpoint to continue from; there is no {checkpoint}")
    mine = ("ckpt_path=", *(word.partition("=")[0] + "=" for word in typed))
    kept = [str(word) for word in OmegaConf.load(saved) if not str(word).startswith(mine)]
    return [argv[0], *kept, *typed, f"ckpt_path={_quoted(checkpoint)}", f"hydra.run.dir={_quoted(run_dir)}"]


def _latest() -> Path:
    runs = sorted(path for path in RUNS.glob("*") if (path / ".hydra").is_dir())
    if not runs:
        raise Refused(f"resume=latest: expected a run under {RUNS}; there is none in {Path.cwd()}")
    return runs[-1]


def _nothing_left(run_dir: Path, typed: list[str]) -> bool:
    """Whether the run is complete and asked for no more epochs than it has."""
    try:
        result = json.loads((run_dir / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if result.get("status") != "completed" or not typed:
        return result.get("status") == "completed"
    wanted = typed[-1].partition("=")[2]
    return wanted.isdecimal() and int(wanted) <= result.get("epochs", 0)


def _quoted(path: Path) -> str:
    """Quoted for Hydra, which would read a comma as a sweep."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
