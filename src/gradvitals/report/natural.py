"""The order in which people count."""

from __future__ import annotations

import re

BEHIND = 2**63  # words sort after numbers


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their size.

    Example:
        >>> sorted(["10_b", "2_b", "b"], key=natural)
        ['2_b', '10_b', 'b']
    """
    parts = re.split(r"([0-9]+)", text)
    return [(int(part), "") if part.isdecimal() else (BEHIND, part) for part in parts if part]
