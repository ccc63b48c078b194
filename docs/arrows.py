"""Draws which room may import which, as ``docs/arrows.svg``: ``python docs/arrows.py`` (a test keeps it up to date).

The arrows are those of ``tests/test_architecture.py``. One that follows from two others is left out: *callbacks* may
import *monitor*, and that may import *vitals*, so that no arrow is drawn from *callbacks* to *vitals*.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
Arrows = Mapping[str, set[str]]
BOX, ROW, GAP, EDGE = 26, 66, 26, 14  # heights of a box and of a row, spaces between boxes and at the edge, in pixels
LETTER, WIDTH = 7.3, 800  # of a letter of 13 pixels, and of the picture
ORDER_ROUNDS = 8  # of sorting each row by where its arrows come from and lead to


def arrows() -> dict[str, set[str]]:
    """Reads the table of the test, without importing it."""
    tree = ast.parse((ROOT / "tests/test_architecture.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets) == "ARROWS"
    )
    written = {ast.literal_eval(key): value for key, value in zip(table.keys, table.values, strict=True)}
    return {room: ast.literal_eval(value) if isinstance(value, ast.Set) else set() for room, value in written.items()}


def reachable(room: str, found: Arrows) -> set[str]:
    """Returns all rooms to which arrows lead from one, over others too."""
    return set().union(*({other} | reachable(other, found) for other in found[room]))


def without_detours(found: Arrows) -> dict[str, set[str]]:
    """Returns only the arrows that no way over another room replaces.

    Example:
        >>> {room: sorted(to) for room, to in without_detours({"a": {"b", "c"}, "b": {"c"}, "c": set()}).items()}
        {'a': ['b'], 'b': ['c'], 'c': []}
    """
    below = {room: reachable(room, found) for room in found}
    return {
        room: {to for to in targets if not any(to in below[via] for via in targets)} for room, targets in found.items()
    }


def rows(found: Arrows) -> list[list[str]]:
    """Returns the rooms by the length of the longest way down, each row sorted so that arrows are short."""
    depth: dict[str, int] = {}

    def deep(room: str) -> int:
        if room not in depth:
            depth[room] = 1 + max(map(deep, found[room]), default=-1)
        return depth[room]

    levels = [sorted(room for room in found if deep(room) == level) for level in range(max(map(deep, found)) + 1)]
    neighbors = {room: {*found[room], *(other for other in found if room in found[other])} for room in found}
    for _ in range(ORDER_ROUNDS):
        middle = {room: center for level in levels for room, center in centers(level).items()}
        for level in levels:
            level.sort(key=lambda room: sum(middle[n] for n in neighbors[room]) / (len(neighbors[room]) or 1))
            middle |= centers(level)
    return levels


def centers(level: list[str]) -> dict[str, float]:
    """Returns where the middle of each box of a row is, from left to right, the row in the middle of the picture."""
    widths = [width(room) for room in level]
    x = (WIDTH - sum(widths) - GAP * (len(level) - 1)) / 2
    found = {}
    for room, wide in zip(level, widths, strict=True):
        found[room] = x + wide / 2
        x += wide + GAP
    return found


def width(room: str) -> float:
    """Returns the width of a box, from the letters in it."""
    return len(room) * LETTER + 16


def svg(found: Arrows) -> str:
    """Returns the picture; rooms that import others are above them."""
    levels, drawn = rows(without_detours(found)), without_detours(found)
    height = ROW * (len(levels) - 1) + BOX + 2 * EDGE
    at = {
        room: (x, height - EDGE - BOX / 2 - ROW * i)
        for i, level in enumerate(levels)
        for room, x in centers(level).items()
    }
    lines = [line(at[room], at[to]) for room in sorted(drawn) for to in sorted(drawn[room])]
    boxes = [box(room, *at[room]) for room in sorted(at)]
    return "\n".join((HEAD.format(width=WIDTH, height=height), *lines, *boxes, "</svg>", ""))


def line(start: tuple[float, float], end: tuple[float, float]) -> str:
    """Returns a curve from the lower edge of a box to the upper edge of another."""
    (x, y), (to_x, to_y) = (start[0], start[1] + BOX / 2), (end[0], end[1] - BOX / 2 - 5)
    bend = min(ROW * 0.6, (to_y - y) / 2)
    return f'<path d="M{x:.0f} {y:.0f} C{x:.0f} {y + bend:.0f} {to_x:.0f} {to_y - bend:.0f} {to_x:.0f} {to_y:.0f}"/>'


def box(room: str, x: float, y: float) -> str:
    """Returns a box with its name; those of the application, which know Hydra, are filled."""
    wide, kind = width(room), ' class="app"' if room.startswith("app.") else ""
    rectangle = f'<rect{kind} x="{x - wide / 2:.0f}" y="{y - BOX / 2:.0f}" width="{wide:.0f}" height="{BOX}" rx="5"/>'
    return f'{rectangle}<text x="{x:.0f}" y="{y + 4:.0f}">{room}</text>'


HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>Which room may import which</title>
<style>
path {{ fill: none; stroke: #7a8794; stroke-width: 1; marker-end: url(#tip); }}
rect {{ fill: #eef3f8; stroke: #4a6785; }}
rect.app {{ fill: #fdf0dd; stroke: #9a6b1f; }}
text {{ font: 13px ui-monospace, Menlo, Consolas, monospace; fill: #1b2733; text-anchor: middle; }}
</style>
<defs><marker id="tip" viewBox="0 0 6 6" refX="1" refY="3" markerWidth="6" markerHeight="6" orient="auto">
<path d="M0 0 L6 3 L0 6 z" style="fill: #7a8794; stroke: none; marker-end: none"/></marker></defs>
<rect width="{width}" height="{height}" rx="8" style="fill: #ffffff; stroke: none"/>"""


if __name__ == "__main__":
    (ROOT / "docs/arrows.svg").write_text(svg(arrows()), encoding="utf-8")
