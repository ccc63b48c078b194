"""A table for pandas or polars, whichever is installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

LIBRARIES = ("pandas", "polars")  # the first that is installed is used


def frame(columns: Mapping[str, Sequence[Any]], library: str | None = None) -> Any:
    """Returns a DataFrame.

    Args:
        columns: name -> values, all of one length.
        library: ``pandas`` or ``polars``; None: pandas where it is installed, else polars.

    Raises:
        ValueError: another library.
        ImportError: it is not installed.

    Example:
        >>> frame({"step": [0, 50], "value": [0.1, 0.2]}, "pandas").shape
        (2, 2)
    """
    if library is not None and library not in LIBRARIES:
        raise ValueError(f"to_frame: expected {' or '.join(map(repr, LIBRARIES))}; got {library!r}")
    wanted = [library] if library else LIBRARIES
    found = next((name for name in wanted if find_spec(name)), None)
    if found is None:
        raise ImportError(f"to_frame needs {' or '.join(wanted)}, which is not installed: pip install {wanted[0]}")
    return import_module(found).DataFrame(dict(columns))
