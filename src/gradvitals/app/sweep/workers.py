"""Several commands at one search: who is still at it, and who asks the study at the moment."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gradvitals.app.sweep.lock import FileLock

FOLDER = ".workers"  # in the sweep's directory


@contextmanager
def at_work(sweep_dir: Path) -> Iterator[str]:
    """Count as one of a search's workers until the block or the process ends, however it ends.

    Yields:
        The worker's name, to be written down with the trials that it runs.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> with at_work(folder) as name:
        ...     is_at_work(folder, name), is_at_work(folder, "elsewhere_1")
        (True, False)
        >>> is_at_work(folder, name)
        False
    """
    name = f"{socket.gethostname()}_{os.getpid()}"
    with _lock(sweep_dir, name):
        try:
            yield name
        finally:
            _file(sweep_dir, name).unlink(missing_ok=True)


def is_at_work(sweep_dir: Path, name: str | None) -> bool:
    """Whether a worker still runs; None: one of whom nothing is known does not."""
    if name is None or not _file(sweep_dir, name).exists():
        return False
    lock = _lock(sweep_dir, name)
    if not lock.acquire(wait=False):
        return True
    lock.release()
    return False


def one_at_a_time(sweep_dir: Path) -> FileLock:
    """Held by the worker that looks at the study and acts on what it sees, so that no other one comes between."""
    return _lock(sweep_dir, "turn")


def _lock(sweep_dir: Path, name: str) -> FileLock:
    (sweep_dir / FOLDER).mkdir(exist_ok=True)
    return FileLock(_file(sweep_dir, name))


def _file(sweep_dir: Path, name: str) -> Path:
    return sweep_dir / FOLDER / f"{name}.lock"
