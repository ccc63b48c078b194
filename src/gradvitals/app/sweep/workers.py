"""The workers of a search, which several commands can be: which still run, and which one may use the study."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout

FOLDER = ".workers"  # in the sweep's directory


@contextmanager
def at_work(sweep_dir: Path) -> Iterator[str]:
    """Registers this process as a worker of a search, until the block or the process ends, however it ends.

    Yields:
        The worker's name, for the attribute of the trials that it runs.

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
    try:
        with _lock(sweep_dir, name):
            yield name
    finally:
        with suppress(OSError):  # Windows removes no file that another worker has open
            _file(sweep_dir, name).unlink()


def is_at_work(sweep_dir: Path, name: str | None) -> bool:
    """Returns whether a worker still runs; one without a name does not."""
    if name is None or not _file(sweep_dir, name).exists():
        return False
    try:
        with _lock(sweep_dir, name).acquire(blocking=False):
            return False
    except Timeout:
        return True


def one_at_a_time(sweep_dir: Path) -> BaseFileLock:
    """Returns the lock of the worker that reads the study and acts on it, so that no other one does in between."""
    return _lock(sweep_dir, "turn")


def _lock(sweep_dir: Path, name: str) -> BaseFileLock:
    (sweep_dir / FOLDER).mkdir(exist_ok=True)
    return FileLock(_file(sweep_dir, name))


def _file(sweep_dir: Path, name: str) -> Path:
    return sweep_dir / FOLDER / f"{name}.lock"
