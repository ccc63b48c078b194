"""A lock on a file that ends with its process, however that ends: what a kill leaves behind holds up no one."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO


class FileLock:
    """An exclusive lock of the operating system's, as Optuna's journal asks for it.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "journal.lock"
        >>> first, second = FileLock(file), FileLock(file)
        >>> first.acquire(), second.acquire(wait=False), first.release(), second.acquire(wait=False), second.release()
        (True, False, None, True, None)
        >>> with first:
        ...     second.acquire(wait=False)
        False
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def acquire(self, wait: bool = True) -> bool:
        """Take the lock; False where somebody else holds it and one does not wait."""
        file = self._path.open("w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return False
        self._file = file
        return True

    def release(self) -> None:
        """Give it back."""
        if self._file is not None:
            self._file.close()
            self._file = None
