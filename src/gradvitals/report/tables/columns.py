"""Rows of cells as text in aligned columns, and what numbers and names look like in them."""

from __future__ import annotations

from collections.abc import Container, Sequence

from gradvitals.formatting import visible

LONGEST = 32  # characters of a cell in aligned columns


def aligned(rows: Sequence[Sequence[str]], left: Container[int] = (0,)) -> list[str]:
    """Returns rows as lines; the columns whose indices are given are aligned to the left, the others to the right.

    Example:
        >>> aligned([["act", "n"], ["relu", "12"]])
        ['act    n', 'relu  12']
    """
    short = [[cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + "…" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    sides = ["<" if i in left else ">" for i in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in short
    ]


def percent(value: float | None) -> str:
    """Returns a share as a cell.

    Example:
        >>> percent(0.254), percent(None)
        ('25 %', '-')
    """
    return "-" if value is None else f"{100 * value:.0f} %"


def significant(value: float | None, digits: int = 3) -> str:
    """Returns a number with its trailing zeros, because the numbers of a column are compared digit by digit.

    Example:
        >>> significant(0.1), significant(12), significant(1.5e-7), significant(None)
        ('0.100', '12.0', '1.50e-07', '-')
    """
    if value is None:
        return "-"
    if 0 < abs(value) < 1e-3 or abs(value) >= 1e4:
        return f"{value:.{digits - 1}e}"
    return f"{value:#.{digits}g}".rstrip(".") if value else "0"


def name_end(name: str, longest: int) -> str:
    """Returns a layer's name; of one that is too long, the end, which distinguishes it from its neighbors.

    Example:
        >>> name_end("encoder.layers.11.linear", 12)
        '…s.11.linear'
    """
    name = visible(name)
    return name if len(name) <= longest else "…" + name[1 - longest :]
