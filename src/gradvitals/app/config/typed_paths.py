"""Takes the values of path keys as they were typed: Hydra would read a comma as a sweep, and a space as an error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from hydra.core.override_parser.types import Sweep

from gradvitals.app.config.overrides import OVERRIDE, key_of, parsed
from gradvitals.formatting import as_typed

SEVERAL = ("weights", "ckpt_path", "data.path", "data.root")  # paths of which a sweep may try several
PATHS = (*SEVERAL, "paths.logs")
QUOTED = re.compile(r"(['\"])(.*)\1", re.DOTALL)
NOT_A_FILE = "latest:"  # begins a value of weights that names an experiment


def typed_path(text: str) -> str:
    """Returns the path that a value names: the value itself, without quotes that were typed for Hydra.

    Example:
        >>> typed_path("logs/act=elu,model=bn"), typed_path("'my logs/a'")
        ('logs/act=elu,model=bn', 'my logs/a')
    """
    if not QUOTED.fullmatch(text):
        return text
    read = _read(text)
    return text[1:-1] if read is None else str(read)


def with_typed_paths(arguments: Sequence[str]) -> list[str]:
    """Returns a command line in which Hydra reads the values of path keys as they were typed.

    What is in quotes, contains an interpolation, or is several paths that exist, separated by commas, stays Hydra's.
    Where ``-m`` is typed, so does every other sweep of which no file has the name.

    Example:
        >>> with_typed_paths(["weights=logs/act=elu,model=bn", "paths.logs=my logs (1)", "seed=0,1"])
        ['weights="logs/act=elu,model=bn"', 'paths.logs="my logs (1)"', 'seed=0,1']
        >>> with_typed_paths(["-m", "data.path=a.csv,b.csv"])
        ['-m', 'data.path=a.csv,b.csv']
    """
    is_sweep = any(word in ("-m", "--multirun", "hydra.mode=MULTIRUN") for word in arguments)
    return [_as_typed(word, is_sweep) if _sets_a_path(word) else word for word in arguments]


def _sets_a_path(word: str) -> bool:
    value = word.partition("=")[2]
    is_hydras = QUOTED.fullmatch(value) or "${" in value or value in ("", "null")
    return bool(OVERRIDE.fullmatch(word)) and not word.startswith("~") and key_of(word) in PATHS and not is_hydras


def _as_typed(word: str, is_sweep: bool) -> str:
    before, _, value = word.partition("=")
    read = _read(value)
    if read == value:
        return word
    if key_of(word) in SEVERAL and not Path(value).exists():
        if paths := _several(value):
            return f"{before}={','.join(path if _read(path) == path else as_typed(path) for path in paths)}"
        is_escaped = isinstance(read, str) and Path(read).exists()  # backslashes were typed for Hydra
        if (is_sweep and isinstance(read, Sweep)) or is_escaped:
            return word
    return f"{before}={as_typed(value)}"


def _read(value: str) -> object:
    """What Hydra reads; None where it cannot."""
    found = parsed(f"path={value}")
    return None if found is None else found.value()


def _several(value: str) -> list[str]:
    """The paths between whose names the commas are; empty where no commas separate paths that all exist."""
    pieces = value.split(",")
    found: list[str] = []
    while pieces:
        joined = accumulate(pieces, lambda one, other: f"{one},{other}")
        ends = [end for end, path in enumerate(joined, start=1) if path and _names_something(path)]
        if not ends:
            return []
        found.append(",".join(pieces[: ends[-1]]))
        del pieces[: ends[-1]]
    return found if len(found) > 1 else []


def _names_something(path: str) -> bool:
    return (path.startswith(NOT_A_FILE) and "," not in path) or Path(path).exists()
