"""Rows of cells as text: in aligned columns, or as a Markdown table."""

from __future__ import annotations

from collections.abc import Container, Sequence

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


def markdown_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns a table of cells that are Markdown already.

    Example:
        >>> markdown_table(["act", "n"], [["relu", "12"]]).splitlines()
        ['| act | n |', '| --- | --- |', '| relu | 12 |']
    """
    return "\n".join(f"| {' | '.join(line)} |" for line in [titles, ["---"] * len(titles), *rows])
