"""The files of a run directory: JSON that is always finite, written aside and renamed."""

from __future__ import annotations

import contextlib
import json
import logging
import math
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filelock import BaseFileLock

HYDRA_FILES = ("config.yaml", "hydra.yaml", "overrides.yaml")
LOG_FILES = (
    "train.log",
    "preflight.log",
    "cure.log",
    "hparams.yaml",
    "metrics.csv",
    "events.out.tfevents.*",
    "gradient_by_layer.png",
    "report.html",
)
PACKAGES = ("gradvitals", "torch", "torchvision", "lightning", "hydra-core")


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file whole or not at all; numbers that are not finite become null."""
    write_bytes(path, f"{json.dumps(finite(content), indent=2, allow_nan=False)}\n".encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(content)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A path beside the file to write to, which takes the file's place at the end; nothing of it stays on an error."""
    aside = path.with_name(path.name + ".part")
    try:
        yield aside
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def finite(content: Any) -> Any:
    """The same content with null for every number that is not finite.

    Example:
        >>> finite({"a": [1.0, float("nan")]})
        {'a': [1.0, None]}
    """
    if isinstance(content, dict):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def discard(run_dir: Path) -> None:
    """Remove what Hydra and the loggers made for a run that never began.

    A run that is there already (one that is resumed) stays whole, and so does a folder with anything else in it.
    """
    if any((run_dir / name).exists() for name in ("result.json", "checkpoints")):
        return
    logging.shutdown()  # closes the log file
    logs = [file for pattern in LOG_FILES for file in run_dir.glob(pattern)]
    for file in (*(run_dir / ".hydra" / name for name in HYDRA_FILES), *logs):
        file.unlink(missing_ok=True)
    for folder in (run_dir / ".hydra", run_dir):
        with contextlib.suppress(OSError):  # not empty: something else lives there
            folder.rmdir()


def user_lock(name: str, folder: Path | None = None) -> BaseFileLock:
    """Returns a lock that the processes of this user on this machine share; it ends with the process that has it.

    Args:
        name: what it protects.
        folder: of the lock file; None: the machine's temporary folder, which users may share.

    Example:
        >>> with user_lock("example") as lock:
        ...     lock.is_locked
        True
    """
    from filelock import FileLock

    user = getattr(os, "getuid", lambda: "own")()  # Windows: the temporary folder is the user's own
    return FileLock((folder or Path(tempfile.gettempdir())) / f"gradvitals_{user}_{name}.lock")


def versions() -> dict[str, str]:
    """Versions of what decides the numbers."""
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that --cfg takes

    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def git_commit() -> str | None:
    """The commit of the working folder, with ``+`` where files differ from it; None outside a repository."""
    try:
        call = ["git", "describe", "--always", "--abbrev=40", "--dirty=+", "--exclude=*"]
        done = subprocess.run(call, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
