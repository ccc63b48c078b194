"""The cells of a table as a file writes them: separator, header and comments are found, or typed."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.description import LeftOutRows, Remark
from gradvitals.tabular.text_file import TextFile, read_text_file

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
AUTO = "auto"
SAMPLE = 200  # lines from which the separator is found
CELL = 2**20  # characters; a longer cell is taken for a quote that is not closed
LINES_OF_A_CELL = 50
SPACES = " \t\r\n\f\v\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{NARROW NO-BREAK SPACE}"
QUOTED_BY_APOSTROPHES = re.compile(r"'[^']*'")
WORD = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,%]*")
Row = tuple[int, list[str]]  # the line of the file in which it begins, from 1, and its cells


@dataclass(frozen=True)
class CsvFormat:
    """How a file separates its cells; what is ``auto`` is found.

    Attributes:
        separator: a character, or ``comma``, ``semicolon``, ``tab``, ``pipe``, ``space`` (one or more blanks).
        encoding: a codec of Python.
        comment: the character with which a comment line begins; empty: there are none.
        header: whether the first line has the names; without one they are 0, 1, 2 ...
    """

    separator: str = AUTO
    encoding: str = AUTO
    comment: str = AUTO
    header: bool = True


@dataclass(frozen=True)
class TextTable:
    """A table of strings, stripped of blanks, ``""`` for an empty cell; the index is the file's line numbers.

    Attributes:
        written: how the file writes it, in words.
        unnamed: columns that the file does not name, as pandas writes its row index.
        padded: column -> cells that had blanks around them.
    """

    cells: pd.DataFrame
    written: str
    fingerprint: str
    left_out: tuple[LeftOutRows, ...] = ()
    remarks: tuple[Remark, ...] = ()
    unnamed: tuple[str, ...] = ()
    padded: Mapping[str, int] = field(default_factory=dict)


def read_csv(path: Path, how: CsvFormat = CsvFormat()) -> TextTable:
    """Reads a file of separated cells.

    Raises:
        ValueError: no text, no table, no rows, a line with more cells than the header; it names the line.
    """
    file = read_text_file(path, how.encoding)
    text, how = _without_separator_line(file.text, how)
    separator, quote = _separator(text, how.separator)
    rows, padded = _stripped(_rows(text, separator, quote))
    if not rows:
        raise ValueError("expected a header and rows below it; the file is empty")
    rows, comments = _without_comments(rows, how.comment)
    rows, titles = _without_title(rows) if how.header else (rows, [])
    names, rows, unnamed, remarks = _names(rows, how.header)
    if not rows:
        raise ValueError("expected rows below the header; got none")
    rows, repeated = _without_repeated_header(rows, names) if how.header else (rows, [])
    rows, short = _filled(rows, names)
    remarks += short
    columns = {
        name: column for name, column in zip(names, zip(*(cells for _, cells in rows), strict=True), strict=True)
    }
    cells = pd.DataFrame(columns, index=[line for line, _ in rows], dtype=object)
    left_out = [
        _left_out("comment lines", comments),
        _left_out("lines above the header", titles),
        _left_out("lines that repeat the header", repeated),
    ]
    return TextTable(
        cells,
        _written(file, separator, quote, how.header),
        file.fingerprint,
        tuple(filter(None, left_out)),
        tuple(remarks),
        tuple(unnamed),
        {name: padded[at] for at, name in enumerate(names) if padded[at]},
    )


def _stripped(rows: Iterable[Row]) -> tuple[list[Row], Counter[int]]:
    """Returns rows without blanks around their cells, and how many cells of each column had some."""
    padded: Counter[int] = Counter()
    found = []
    for line, cells in rows:
        stripped = [cell.strip(SPACES) for cell in cells]
        if stripped != cells:
            padded.update(at for at, (cell, short) in enumerate(zip(cells, stripped, strict=True)) if cell != short)
        if any(stripped):
            found.append((line, stripped))
    return found, padded


def _left_out(reason: str, rows: Sequence[Row]) -> LeftOutRows | None:
    examples = tuple(f"line {line}: {visible(' '.join(filter(None, cells)))[:60]}" for line, cells in rows[:3])
    return LeftOutRows(len(rows), reason, examples) if rows else None


def _written(file: TextFile, separator: str, quote: str, header: bool) -> str:
    name = next((name for name, sign in SEPARATORS.items() if sign == separator), repr(separator))
    words = [file.encoding.removesuffix("-sig").upper() if file.encoding != "cp1252" else "cp1252"]
    words = [file.compression] * bool(file.compression) + words + [f"separated by {name}"]
    words += ["quoted by apostrophes"] * (quote == "'") + ["no header"] * (not header)
    return ", ".join(words)


def _without_separator_line(text: str, how: CsvFormat) -> tuple[str, CsvFormat]:
    """Excel writes ``sep=;`` as a first line, and hides it when it reads the file."""
    first, _, rest = text.partition("\n")
    found = re.fullmatch(r'"?sep=(.)"?[,;\t|]*\s*', first, re.IGNORECASE)
    if not found:
        return text, how
    separator = how.separator if how.separator != AUTO else found[1]
    return "\n" + rest, replace(how, separator=separator)  # the line stays, so that line numbers are the file's


def _separator(text: str, typed: str) -> tuple[str, str]:
    """Returns the separator and the quotation mark."""
    sample = [line for line in text[: 2**20].splitlines() if line.strip()][:SAMPLE]
    if typed != AUTO:
        separator = SEPARATORS.get(typed, "\t" if typed == "\\t" else typed)
        if len(separator) != 1 or separator in "\"'\r\n":
            raise ValueError(f"data.separator: expected one character or one of {', '.join(SEPARATORS)}; got {typed!r}")
        return separator, _quote(sample, separator)
    scored = {sign: _score(sample, sign) for sign in (",", ";", "\t", "|")}
    best = max(scored, key=lambda sign: scored[sign])
    if scored[best][0] < 0.5 and _score(sample, " ")[0] > max(0.9, scored[best][0]):
        best = " "
    return best, _quote(sample, best)


def _quote(sample: Sequence[str], separator: str) -> str:
    """An apostrophe quotes cells only where no line has a usual quotation mark, and most lines a quoted cell."""
    if any('"' in line for line in sample):
        return '"'
    quoted = sum(any(map(QUOTED_BY_APOSTROPHES.fullmatch, map(str.strip, line.split(separator)))) for line in sample)
    return "'" if quoted > len(sample) / 2 else '"'


def _score(sample: Sequence[str], separator: str) -> tuple[float, int]:
    """Returns the share of lines that have as many cells as most have, and how many cells those are.

    The header counts: the decimal commas of a table that is separated by semicolons are not in its names.
    """
    rows = [cells for _, cells in _stripped(_rows("\n".join(sample), separator, '"'))[0]]
    for sizes in ([len(_trimmed(cells)) for cells in rows], [len(cells) for cells in rows]):
        usual = Counter(sizes).most_common(1)[0][0] if sizes else 0
        if usual >= 2:
            header = next((size for size in sizes if size > usual / 2), 0)  # R's has one cell less than its rows
            return (sizes.count(usual) / len(sizes) if header in (usual, usual - 1) else 0.0), usual
    return 0.0, 0


def _trimmed(cells: Sequence[str]) -> list[str]:
    """Without the empty cells at the end, which a trailing separator makes."""
    size = len(cells)
    while size and not cells[size - 1]:
        size -= 1
    return list(cells[:size])


def _rows(text: str, separator: str, quote: str) -> Iterator[Row]:
    if separator == " ":
        yield from _spaced_rows(text)
        return
    lines = text.splitlines(keepends=True)
    csv.field_size_limit(CELL)
    reader = csv.reader(lines, delimiter=separator, quotechar=quote, skipinitialspace=separator != "\t")
    began = 1
    try:
        for cells in reader:
            if reader.line_num - began >= LINES_OF_A_CELL:
                raise ValueError(
                    f"line {began}: expected a closing {quote}; the cell goes on for {LINES_OF_A_CELL} lines"
                )
            yield began, cells
            began = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"line {began}: expected cells separated by {separator!r}; {error}") from None


def _spaced_rows(text: str) -> Iterator[Row]:
    for line, content in enumerate(text.splitlines(), 1):
        cells = [found[1].replace('""', '"') if found[1] is not None else found[2] for found in WORD.finditer(content)]
        yield line, cells


def _without_comments(rows: list[Row], sign: str) -> tuple[list[Row], list[Row]]:
    """Returns the rows and the comments; ``#`` begins one where the line has not as many cells as the others have."""
    if len(sign) > 2 and sign != AUTO:
        raise ValueError(f"data.comment: expected the one or two characters that begin a comment; got {sign!r}")
    if sign != AUTO:
        lines = {line for line, cells in rows if sign and cells[0].startswith(sign)}
    else:
        usual = Counter(len(_trimmed(cells)) for _, cells in rows).most_common(1)[0][0]
        lines = {line for line, cells in rows if cells[0].startswith("#") and len(_trimmed(cells)) != usual}
        lines |= _comments_like_rows([row for row in rows if row[0] not in lines])
    return [row for row in rows if row[0] not in lines], [row for row in rows if row[0] in lines]


def _comments_like_rows(rows: Sequence[Row]) -> set[int]:
    """The lines above the header that begin with ``# `` and happen to have as many cells as the table."""
    at = 0
    while len(rows) > at + 2 and rows[at][1][0].startswith("# ") and not _has_number(rows[at + 1][1]):
        at += 1
    return {line for line, _ in rows[:at]} if at and _has_number(rows[at + 1][1]) else set()


def _has_number(cells: Iterable[str]) -> bool:
    return any(map(NUMBER.fullmatch, cells))


def _without_title(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Returns the rows from the header on, and the lines above it, which have few cells where most have several."""
    usual = Counter(len(_trimmed(cells)) for _, cells in rows).most_common(1)[0][0]
    first = next((at for at, (_, cells) in enumerate(rows) if len(list(filter(None, cells))) > usual / 2), 0)
    return rows[first:], rows[:first]


def _names(rows: list[Row], header: bool) -> tuple[list[str], list[Row], list[str], list[Remark]]:
    """Returns the columns' names, the rows below, the names that are not the file's, and remarks."""
    if not header:
        return [str(at) for at in range(max(len(cells) for _, cells in rows))], rows, [], []
    names, rows = rows[0][1], rows[1:]
    names = (
        _trimmed(names) if len(_trimmed(names)) < len(names) and _no_cell_beyond(rows, len(_trimmed(names))) else names
    )
    if names and names[0].startswith("# "):  # as NumPy writes a header
        names = [names[0][2:].strip(), *names[1:]]
    if rows and _begins_with_row_names(names, rows):
        names = ["", *names]
    unnamed = [at for at, name in enumerate(names) if not name or re.fullmatch(r"Unnamed: \d+", name)]
    names = [name or f"column {at + 1}" for at, name in enumerate(names)]
    different, remarks, seen = [], [], set(names)
    for at, name in enumerate(names):
        if name in names[:at]:
            count = next(n for n in range(1, len(names) + 1) if f"{name}.{n}" not in seen)
            seen.add(f"{name}.{count}")
            remarks.append(
                Remark(f"the header has {visible(name)!r} twice; the later column is called {visible(name)}.{count}")
            )
            name = f"{name}.{count}"
        different.append(name)
    return different, rows, [different[at] for at in unnamed], remarks


def _no_cell_beyond(rows: Iterable[Row], size: int) -> bool:
    return all(len(_trimmed(cells)) <= size for _, cells in rows)


def _begins_with_row_names(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """R writes the names of the rows without a name of their own: 1, 2, 3 ..."""
    sizes = {len(_trimmed(cells)) for _, cells in rows}
    if max(sizes) != len(names) + 1 or any(len(cells) <= len(names) for _, cells in rows):
        return False
    first = [cells[0] for _, cells in rows]
    return first in ([str(at) for at in range(start, start + len(rows))] for start in (0, 1))


def _without_repeated_header(rows: list[Row], names: Sequence[str]) -> tuple[list[Row], list[Row]]:
    repeated = [row for row in rows if row[1] == list(names)]
    return ([row for row in rows if row[1] != list(names)], repeated) if repeated else (rows, [])


def _filled(rows: list[Row], names: Sequence[str]) -> tuple[list[Row], list[Remark]]:
    """Returns rows of equal length."""
    size, short, filled = len(names), [], []
    for line, cells in rows:
        if len(cells) > size and any(cells[size:]):
            raise ValueError(
                f"line {line}: expected {size} cells, as the header has; got {len(cells)}: "
                f"{visible(' | '.join(cells))[:200]}. Quote a cell that contains the separator, or set "
                f"{setting('data.separator', 'semicolon')} (or tab, pipe, comma)"
            )
        if len(cells) < size:
            short.append(line)
        filled.append((line, [*cells[:size], *[""] * (size - len(cells))]))
    if not short:
        return filled, []
    where = shortened([str(line) for line in short], 3)
    words = "1 line has" if len(short) == 1 else f"{len(short)} lines have"
    return filled, [Remark(f"{words} fewer cells than the header (line {where}); the missing cells are empty")]
