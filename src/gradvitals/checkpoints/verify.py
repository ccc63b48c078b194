"""Verifies that a file is a whole checkpoint, without running anything in it."""

from __future__ import annotations

from pathlib import Path
from zipfile import BadZipFile, ZipFile


def is_whole(path: Path) -> bool:
    """Returns whether a file is an archive whose members all match their checksums, which torch does not compare."""
    try:
        with ZipFile(path) as archive:
            return archive.testzip() is None
    except (OSError, BadZipFile, ValueError, NotImplementedError):
        return False


def require_file(path: Path, key: str) -> None:
    """Raises FileNotFoundError or ValueError where there is no file; ``key`` is the setting that named it."""
    if path.is_dir():
        raise ValueError(f"{key}={path}: expected a checkpoint; it is a directory")
    if not path.is_file():
        raise FileNotFoundError(f"{key}: expected a checkpoint or a run directory; there is no {path}")


def require_whole(path: Path, key: str) -> None:
    """Raises FileNotFoundError or ValueError where there is no file, or where it is damaged."""
    require_file(path, key)
    if not is_whole(path):
        raise ValueError(
            f"{key}={path}: expected a checkpoint; cannot read it (damaged, or not a file that torch.save wrote)"
        )
