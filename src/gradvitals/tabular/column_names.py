"""Columns by the names that were typed, also where Hydra read a name as another value."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import pandas as pd

from gradvitals.formatting import setting, shortened, visible


def find_columns(table: pd.DataFrame, typed: Sequence[object], key: str) -> list[str]:
    """Returns the columns that were meant.

    Args:
        typed: names as Hydra read them: true, null and 1e3 are names of columns, too.
        key: where they were typed, for errors.

    Raises:
        ValueError: it names all that the table does not have, and similar ones.
    """
    found = [_meant(table, name) for name in typed]
    known = list(dict.fromkeys(column for column in found if column is not None))
    if unknown := [name for name, column in zip(typed, found, strict=True) if column is None]:
        raise ValueError(_unknown(table, unknown, key, single=False, rest=known))
    return known


def find_column(table: pd.DataFrame, typed: object, key: str) -> str:
    """Returns the column that was meant; raises ValueError as :func:`find_columns` does."""
    column = _meant(table, typed)
    if column is None:
        raise ValueError(_unknown(table, [typed], key, single=True, rest=[]))
    return column


def _meant(table: pd.DataFrame, typed: object) -> str | None:
    names = [str(name) for name in table.columns]
    text = "null" if typed is None else str(typed)
    if text in names:
        return text
    if typed is None or isinstance(typed, bool):
        same = [name for name in names if name.casefold() == text.casefold()]
    elif isinstance(typed, (int, float)):
        same = [name for name in names if _is_equal(name, typed)]
    else:
        same = [name for name in names if " ".join(name.split()) == " ".join(text.split())]
    return same[0] if len(same) == 1 else None


def _is_equal(name: str, typed: float) -> bool:
    try:
        return float(name) == typed
    except ValueError:
        return False


def _unknown(table: pd.DataFrame, typed: Sequence[object], key: str, single: bool, rest: Sequence[str]) -> str:
    names = [str(name) for name in table.columns]
    wanted = ["no name" if name == "" else repr(visible("null" if name is None else str(name))) for name in typed]
    close = {str(name): similar(str(name), names) for name in typed}
    best = [found[0] for found in close.values() if found]
    like = list(dict.fromkeys(name for found in close.values() for name in found)) or names
    shown = shortened([visible(name) for name in like], 10)
    message = f"{key}: expected a column of the table, such as {shown}; got {', '.join(wanted)}"
    if best and len(best) == len(typed):
        message += f". Set {setting(key, best[0] if single else [*rest, *best])}"
    return message


def similar(name: str, names: Sequence[str]) -> list[str]:
    """Returns up to three names that resemble one, the most similar first; one that differs only by case alone.

    Example:
        >>> similar("height", ["Weight (kg)", "Height (cm)", "y"])
        ['Height (cm)', 'Weight (kg)']
    """
    folded = {each.casefold(): each for each in names}
    if name.casefold() in folded:
        return [folded[name.casefold()]]
    return [folded[each] for each in get_close_matches(name.casefold(), folded, n=3, cutoff=0.4)] if name else []
