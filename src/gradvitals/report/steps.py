"""Which of many measured steps a figure shows."""

from __future__ import annotations

from collections.abc import Sequence


def spaced(steps: Sequence[int], most: int) -> list[int]:
    """Returns the first and the last of ascending steps and some between them, about equally far apart in time.

    Example:
        >>> spaced([0, 1, 2, 3, 50, 100], 3)
        [0, 50, 100]
    """
    if len(steps) <= most:
        return list(steps)
    first, last = steps[0], steps[-1]
    wanted = (first + i * (last - first) / (most - 1) for i in range(most))
    return sorted({min(steps, key=lambda step, at=at: abs(step - at)) for at in wanted})  # type: ignore[misc]


def evenly(count: int, most: int) -> list[int]:
    """Returns the indices of the first and the last of some items and of every so many between them.

    Example:
        >>> evenly(9, 3), evenly(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return [i * (count - 1) // (most - 1) for i in range(most)] if count > most else list(range(count))
