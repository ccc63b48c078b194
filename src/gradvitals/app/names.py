"""Names of run directories: safe ones, and short ones for people."""

from __future__ import annotations

import re
from pathlib import Path, PurePath

LONGEST = 100  # characters; file systems refuse more than 255


def slug(text: str) -> str:
    """``_`` and the text reduced to letters, digits and ``=,.-_``; nothing for nothing.

    No slash survives and no leading dot, so that the name stays inside its folder.

    Example:
        >>> slug("model=bn,data.root=../../evil")
        '_model=bn,data.root=evil'
        >>> slug("")
        ''
    """
    last_parts = ",".join(_last_part(item) for item in text.split(","))
    safe = re.sub(r"[^A-Za-z0-9=,.\-_]+", "-", last_parts).strip(".-,")[:LONGEST]
    return f"_{safe}" if safe else ""


def _last_part(item: str) -> str:
    """Of a path in a value, its last part: it says enough."""
    key, equals, value = item.partition("=")
    return f"{key}{equals}{PurePath(value).name}" if "/" in value else item


def short(path: Path) -> str:
    """Relative to the working folder where the path lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def quoted(path: Path) -> str:
    """Quoted for Hydra, which would read a comma as a sweep."""
    escaped = str(path).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
