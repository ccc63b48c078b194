"""The files of a run directory: written whole or not at all, JSON with finite numbers alone; and locks."""

from __future__ import annotations

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from filelock import BaseFileLock


def write_json(path: Path, content: Any) -> None:
    """Writes a JSON file whole or not at all; numbers that are not finite become null."""
    write_bytes(path, f"{json.dumps(finite(content), indent=2, allow_nan=False)}\n".encode())


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON file; empty where there is none, or a torn one."""
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    with written_aside(path) as aside:
        aside.write_bytes(content)


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """Yields a path beside the file, which replaces the file at the end, and is removed after an error."""
    aside = path.with_name(path.name + ".part")
    try:
        yield aside
        os.replace(aside, path)
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise


def finite(content: Any) -> Any:
    """Returns the same content with None in place of every number that is not finite.

    Example:
        >>> finite({"a": [1.0, float("nan")]})
        {'a': [1.0, None]}
    """
    if isinstance(content, Mapping):
        return {key: finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def user_lock(name: str, folder: Path | None = None) -> BaseFileLock:
    """Returns a lock that all processes of this user on this machine share; it ends with the process that has it.

    Args:
        folder: of the lock file; None: the machine's temporary folder, which users may share.

    Example:
        >>> with user_lock("example") as lock:
        ...     lock.is_locked
        True
    """
    from filelock import FileLock

    user = getattr(os, "getuid", lambda: "own")()  # Windows: the temporary folder is the user's own
    return FileLock((folder or Path(tempfile.gettempdir())) / f"gradvitals_{user}_{name}.lock")
