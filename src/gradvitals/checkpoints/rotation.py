"""Names the latest checkpoints of a run: ``new.ckpt`` until it is in place, then ``last.ckpt``, ``last-1.ckpt``, ..."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

from gradvitals.formatting import natural

NEW, LAST = "new.ckpt", "last.ckpt"


def names(keep: int) -> list[str]:
    """Returns the names of the latest checkpoints, newest first.

    Example:
        >>> names(3)
        ['last.ckpt', 'last-1.ckpt', 'last-2.ckpt']
    """
    return [LAST, *(f"last-{age}.ckpt" for age in range(1, keep))]


def rotate(new: Path, kept: list[str]) -> None:
    """Moves each checkpoint to the place of the next older one, and the new one to the first place.

    If the process is killed in between, one checkpoint fewer remains, and none is damaged.
    """
    places = [*(new.with_name(name) for name in reversed(kept)), new]
    for older, younger in pairwise(places):
        if younger.exists():
            os.replace(younger, older)


def newest_first(folder: Path) -> list[Path]:
    """Returns the latest checkpoints in a folder, newest first; they may be damaged."""
    older = sorted(folder.glob("last-*.ckpt"), key=lambda path: natural(path.name))
    return [path for path in (folder / NEW, folder / LAST, *older) if path.is_file()]
