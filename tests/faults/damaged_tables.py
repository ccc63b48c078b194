"""Tables as they come: whole ones, damaged at random. Each kind of damage is a function of a draw; bytes come out."""

from __future__ import annotations

import random
from collections.abc import Callable

ROWS = 60
Rows = list[list[str]]


def whole(draw: random.Random, target: str = "y") -> Rows:
    """A header and rows of two numbers, a word and a target of two classes."""
    lines = [[f"{draw.gauss(0, 1):.4f}", str(draw.randint(0, 99)), draw.choice("abc"), str(i % 2)] for i in range(ROWS)]
    return [["x", "n", "word", target], *lines]


def joined(rows: Rows, by: str = ",") -> bytes:
    return ("\n".join(by.join(row) for row in rows) + "\n").encode()


def _cell(draw: random.Random, *values: str, share: float = 0.05, columns: tuple[int, ...] = (0, 1, 2, 3)) -> bytes:
    """Some cells hold something else; at least one."""
    rows = whole(draw)
    for _ in range(max(1, int(share * ROWS))):
        rows[draw.randint(1, ROWS)][draw.choice(columns)] = draw.choice(values)
    return joined(rows)


def _ragged(draw: random.Random) -> bytes:
    rows = whole(draw)
    for _ in range(draw.randint(1, 10)):
        row = draw.choice(rows[1:])
        row[:] = row[: draw.randint(0, 3)] if draw.random() < 0.5 else row + ["1"] * draw.randint(1, 3)
    return joined(rows)


def _encoded(draw: random.Random) -> bytes:
    rows = whole(draw)
    rows[draw.randint(0, 5)][2] = "é∞"
    content = joined(rows).decode()
    return content.encode(draw.choice(("utf-16", "utf-16-le", "latin-1", "utf-32", "utf-8-sig", "cp1252")), "replace")


def _random_bytes(draw: random.Random) -> bytes:
    return draw.randbytes(draw.choice((1, 10, 1000, 20_000)))


def _scattered(draw: random.Random) -> bytes:
    """Some bytes of a good file are others."""
    content = bytearray(joined(whole(draw)))
    for _ in range(draw.choice((1, 5, 50))):
        content[draw.randrange(len(content))] = draw.choice((0, 255, 34, 44, 10, 13, draw.randrange(256)))
    return bytes(content)


def _cut(draw: random.Random) -> bytes:
    content = joined(whole(draw))
    return content[: draw.randrange(len(content))]


def _quotes(draw: random.Random) -> bytes:
    content = joined(whole(draw)).decode().splitlines()
    for _ in range(draw.choice((1, 2, 3))):
        place = draw.randrange(len(content))
        content[place] = content[place].replace(",", draw.choice((',"', '",', '"",', '","')), 1)
    return "\n".join(content).encode()


def _columns(draw: random.Random) -> bytes:
    """Names that are equal, empty or nearly so."""
    rows = whole(draw)
    rows[0] = draw.choice(
        (
            ["x", "x", "word", "y"],
            ["y", "n", "word", "y"],
            [" x", "x ", "word", "y"],
            ["", "", "", "y"],
            [" ", "\t", "word", "y"],
            ["x", "n", "word", " y "],
            ["0", "1", "2", "y"],
            ["x", "n", "word", ""],
            ["x.1", "x", "x", "y"],
            ["é", "n'", '"a,b"', "y"],
            ["x" * 5000, "n", "word", "y"],
        )
    )
    return joined(rows)


def _few(draw: random.Random) -> bytes:
    rows = whole(draw)
    return joined(rows[: draw.choice((0, 1, 2, 3, 5, 9))])


def _target(draw: random.Random) -> bytes:
    """One class, none, as many as rows, words and numbers mixed."""
    rows = whole(draw)
    kind = draw.choice(("1", "", "name", "mixed", "rare", "dates", "huge", "bool"))
    for i, row in enumerate(rows[1:]):
        row[3] = {
            "name": f"r{i}",
            "mixed": draw.choice(("1", "a", "", "2.5")),
            "rare": str(int(i == 0)),
            "dates": f"2024-01-{i % 28 + 1:02}",
            "huge": str(10**30 + i),
            "bool": draw.choice(("True", "False", "yes")),
        }.get(kind, kind)
    return joined(rows)


def _gaps(draw: random.Random) -> bytes:
    rows, column = whole(draw), draw.randrange(4)
    for row in rows[1:]:
        if draw.random() < draw.choice((0.5, 1.0)):
            row[column] = draw.choice(("", "NA", "NaN", "null", "?", "-"))
    return joined(rows)


def _wide(draw: random.Random) -> bytes:
    size = draw.choice((100, 1000, 1000, 10_000))
    names = [f"c{i}" for i in range(size)]
    return joined([[*names, "y"], *([str((i * j) % 7) for j in range(size)] + [str(i % 2)] for i in range(20))])


def _of_one_column(draw: random.Random) -> bytes:
    rows, column = whole(draw), draw.randrange(4)
    return joined([[row[column]] for row in rows])


DAMAGES: dict[str, Callable[[random.Random], bytes]] = {
    "ragged": _ragged,
    "encoded": _encoded,
    "random bytes": _random_bytes,
    "scattered": _scattered,
    "cut": _cut,
    "quotes": _quotes,
    "columns": _columns,
    "few": _few,
    "target": _target,
    "gaps": _gaps,
    "wide": _wide,
    "one column": _of_one_column,
    "infinite": lambda draw: _cell(draw, "inf", "-inf", "1e999", "Infinity", columns=(0, 1, 3)),
    "large": lambda draw: _cell(draw, "1e38", "-3e38", "1e-320", str(10**25), columns=(0, 1, 3)),
    "words": lambda draw: _cell(draw, "abc", "=1+1", "#REF!", "1,5", "12 kg", "0x1F", "1_000", "1+2j", "--1", "\0"),
    "dates": lambda draw: _cell(draw, "2024-02-30", "01/02/03", "12:30", share=1.0),
    "long": lambda draw: _cell(draw, "x" * 200_000, "9" * 5000, columns=(0, 2, 3)),
    "booleans": lambda draw: _cell(draw, "True", "False", "", share=1.0),
    "no header": lambda draw: joined(whole(draw)[1:]),
    "no target": lambda draw: joined(whole(draw, draw.choice(("Y", "z", "target")))),
    "separated": lambda draw: joined(whole(draw), by=draw.choice((";", "\t", " ", "|", ", "))),
    "empty": lambda draw: draw.choice(
        (b"", b"\n", b"\n\n\n", b",,,\n", b" ", b'"', b"\xef\xbb\xbf", b"\0" * 100, b"y\n")
    ),
    "line ends": lambda draw: joined(whole(draw)).replace(b"\n", draw.choice((b"\r", b"\r\n", b"\n\n", b"\n\r"))),
}


def drawn(seed: int) -> tuple[str, bytes]:
    """A kind of damage and a file with it; the kinds take turns."""
    kind = list(DAMAGES)[seed % len(DAMAGES)]
    return kind, DAMAGES[kind](random.Random(seed))
