"""Shares with their 95 % bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence


def bounds(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Of a share, after Wilson (1927).

    Example:
        >>> low, high = bounds(0, 100)
        >>> round(low, 3), round(high, 3)
        (0.0, 0.037)
    """
    if not of:
        return 0.0, 1.0
    share, spread = hits / of, z * z / of
    middle = (share + spread / 2) / (1 + spread)
    half = z * math.sqrt(share * (1 - share) / of + spread / (4 * of)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def rate(hits: Sequence[bool]) -> str:
    """In words.

    Example:
        >>> rate([True, True, False])
        '2 of 3, 66.7 % (20.8 to 93.9)'
    """
    if not hits:
        return "none"
    low, high = bounds(sum(hits), len(hits))
    share = 100 * sum(hits) / len(hits)
    return f"{sum(hits)} of {len(hits)}, {share:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
