"""The cells of a table as a file writes them: separator, header and comments are found, or typed."""

from __future__ import annotations

import csv
import gc
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gradvitals.formatting import setting, shortened, visible
from gradvitals.tabular.description import LeftOutRows, Remark
from gradvitals.tabular.text_file import TextFile, read_text_file

SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|", "space": " "}
SNIFFED = ("\t", "|", ";", ",")  # of equally good ones the first: commas are in numbers and in names, too
AUTO = "auto"
SAMPLE = 200  # lines from which the separator is found
CELL = 2**20  # characters; a longer cell is taken for a quote that is not closed
BLANKS = " \t\f\v\ufeff\N{NO-BREAK SPACE}\N{ZERO WIDTH SPACE}\N{NARROW NO-BREAK SPACE}"
QUOTED_BY_APOSTROPHES = re.compile(r"'[^']*'")
WORD = re.compile(r'"((?:[^"]|"")*)"|(\S+)')
NUMBER = re.compile(r"[-+]?[\d.,]*\d[\d.,%]*(?:[eE][-+]?\d+)?")
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
    separator: str
    fingerprint: str
    left_out: tuple[LeftOutRows, ...] = ()
    remarks: tuple[Remark, ...] = ()
    unnamed: tuple[str, ...] = ()
    padded: Mapping[str, int] = field(default_factory=dict)


def read_csv(path: Path, how: CsvFormat = CsvFormat()) -> TextTable:
    """Reads a file of separated cells.

    Raises:
        ValueError: no text, no table, no rows, a quote that is not closed, a line with more cells than the header; it
            names the line.
    """
    with _no_garbage_collection():
        return _read(read_text_file(path, how.encoding), how)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Rows refer to no rows; the collector would visit all of them again and again, for as long as the reading."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _read(file: TextFile, how: CsvFormat) -> TextTable:
    text, how = _without_separator_line(file.text.replace("\r\n", "\n").replace("\r", "\n"), how)
    separator, quote = _separator(text, how.separator)
    rows, padded = _stripped(_rows(text, separator, quote), any(blank in text for blank in BLANKS))
    if not rows:
        raise ValueError("expected a header and rows below it; the file is empty")
    rows, comments = _without_comments(rows, how)
    if not rows:
        raise ValueError("expected a header and rows below it; got comments only")
    rows, notes = _without_notes(rows)
    if how.header:
        titles, header, rows = _below_header(rows)
        names, unnamed, remarks = _names(header, rows)
        rows, repeated = _without_repeated(rows, header)
    else:
        titles, unnamed, remarks, repeated = [], [], [], []
        names = [str(at) for at in range(max(_size(cells) for _, cells in rows))]
    if not rows:
        raise ValueError("expected rows below the header; got none")
    cells, short = _frame(rows, names)
    left_out = {
        "comment lines": comments,
        "lines above the header": titles,
        "lines that repeat the header": repeated,
        "lines below the table": notes,
    }
    return TextTable(
        cells,
        _written(file, separator, quote, how.header),
        separator,
        file.fingerprint,
        tuple(_left_out(reason, lines) for reason, lines in left_out.items() if lines),
        (*remarks, *short),
        tuple(unnamed),
        {name: sum(line in cells.index for line in padded[at]) for at, name in enumerate(names) if at in padded},
    )


def _lines(text: str) -> Iterator[str]:
    """Yields the lines of a text; ``str.splitlines`` would split cells that contain a form feed or the like."""
    begin = 0
    while (end := text.find("\n", begin)) >= 0:
        yield text[begin : end + 1]
        begin = end + 1
    if begin < len(text):
        yield text[begin:]


def _stripped(rows: Iterable[Row], has_blanks: bool = True) -> tuple[list[Row], dict[int, list[int]]]:
    """Returns rows without blanks around their cells, and column -> lines whose cell had some."""
    padded: dict[int, list[int]] = {}
    if not has_blanks:
        return [row for row in rows if any(row[1])], padded
    found = []
    for line, cells in rows:
        stripped = [cell.strip(BLANKS + "\n") for cell in cells]
        if stripped != cells:
            for at, (cell, short) in enumerate(zip(cells, stripped, strict=True)):
                if cell != short:
                    padded.setdefault(at, []).append(line)
        if any(stripped):
            found.append((line, stripped))
    return found, padded


def _left_out(reason: str, rows: Sequence[Row]) -> LeftOutRows:
    examples = tuple(f"line {line}: {visible(' '.join(filter(None, cells)))[:60]}" for line, cells in rows[:3])
    return LeftOutRows(len(rows), reason, examples)


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
    sample = list(islice((line for line in _lines(text[: 2**20]) if line.strip()), SAMPLE))
    if typed != AUTO:
        separator = SEPARATORS.get(typed, "\t" if typed == "\\t" else typed)
        if len(separator) != 1 or separator in "\"'\r\n":
            raise ValueError(f"data.separator: expected one character or one of {', '.join(SEPARATORS)}; got {typed!r}")
        return separator, _quote(sample, separator)
    scored = {sign: _score(sample, sign) for sign in SNIFFED}
    best = max(SNIFFED, key=lambda sign: scored[sign][:2])
    share, _, fits_first_line = scored[best]
    if share < 0.5 or not fits_first_line:
        blanks = _score(sample, " ")
        if blanks[0] > max(0.9, share):
            best = " "
    return best, _quote(sample, best)


def _quote(sample: Sequence[str], separator: str) -> str:
    """An apostrophe quotes cells only where no line has a usual quotation mark, and most lines a quoted cell."""
    if any('"' in line for line in sample):
        return '"'
    quoted = sum(any(map(QUOTED_BY_APOSTROPHES.fullmatch, map(str.strip, line.split(separator)))) for line in sample)
    return "'" if quoted > len(sample) / 2 else '"'


def _score(sample: Sequence[str], separator: str) -> tuple[float, int, bool]:
    """Returns the share of lines that have as many cells as most have, how many those are, and if the first line fits.

    The header counts: the decimal commas of a table that is separated by semicolons are not in its names.
    """
    with _cells_limited():
        rows = [cells for _, cells in _stripped(_sample_rows(sample, separator))[0]]
    rows = [cells for cells in rows if not cells[0].startswith("#")] or rows
    for sizes in (list(map(_size, rows)), list(map(len, rows))):
        usual = _most_common(sizes)
        if usual >= 2:
            header = next((size for size in sizes if size > usual / 2), 0)  # R's has one cell less than its rows
            fits = sizes.count(usual) + (separator == " " and header == usual - 1)
            share = fits / len(sizes) if header in (usual, usual - 1) else 0.0
            return share, usual, sizes[0] in (usual, usual - 1) and sizes[0] > 1
    return 0.0, 0, False


def _sample_rows(sample: Sequence[str], separator: str) -> Iterator[Row]:
    """Yields the rows of some lines, the last of which may be within a quote."""
    if separator == " ":
        return _spaced_rows(sample)
    reader = csv.reader(sample, delimiter=separator, skipinitialspace=separator != "\t")
    return ((0, cells) for cells in reader)


def _most_common(sizes: Iterable[int]) -> int:
    """Returns the most frequent size, the largest of equally frequent ones."""
    return max(Counter(sizes).items(), key=lambda found: found[::-1], default=(0, 0))[0]


def _size(cells: Sequence[str]) -> int:
    """Returns how many cells there are without the empty ones at the end, which a trailing separator makes."""
    size = len(cells)
    while size and not cells[size - 1]:
        size -= 1
    return size


def _rows(text: str, separator: str, quote: str) -> Iterator[Row]:
    if separator == " ":
        yield from _spaced_rows(_lines(text))
        return
    how: dict[str, Any] = {"delimiter": separator, "quotechar": quote, "skipinitialspace": separator != "\t"}
    if quote not in text:
        yield from _unquoted_rows(text, how)
        return
    taken: list[str] = []  # the lines of one row
    reader = csv.reader(_remembered(_lines(text), taken), **how)
    began, last = 1, text.count("\n") + (not text.endswith("\n"))
    try:
        with _cells_limited():
            for cells in reader:
                if len(taken) > 1 or began == last:
                    _require_closed(taken, how, began)
                yield began, cells
                began += len(taken)
                taken.clear()
    except csv.Error:
        raise ValueError(_not_closed(began, quote)) from None


def _unquoted_rows(text: str, how: Mapping[str, Any]) -> Iterator[Row]:
    """Yields the rows of a text without quotes: each line is one."""
    reader = csv.reader(_lines(text), **how)
    try:
        with _cells_limited():
            yield from enumerate(reader, 1)
    except csv.Error:
        raise ValueError(_not_closed(reader.line_num, how["quotechar"])) from None


@contextmanager
def _cells_limited() -> Iterator[None]:
    """The limit of the csv module is one of the whole process."""
    before = csv.field_size_limit(CELL)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _remembered(lines: Iterable[str], taken: list[str]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line


def _require_closed(lines: Sequence[str], how: Mapping[str, Any], began: int) -> None:
    """Raises if a quote is not closed: cells then swallow lines up to the next quote, or to the end."""
    try:
        list(csv.reader(lines, strict=True, **how))
    except csv.Error as error:
        if len(lines) > 1 or "unexpected end" in str(error):
            raise ValueError(_not_closed(began, how["quotechar"])) from None


def _not_closed(line: int, quote: str) -> str:
    return f"line {line}: expected a closing {quote} in this line or below; got none where a cell ends"


def _spaced_rows(lines: Iterable[str]) -> Iterator[Row]:
    for number, content in enumerate(lines, 1):
        cells = [found[1].replace('""', '"') if found[1] is not None else found[2] for found in WORD.finditer(content)]
        yield number, cells


def _without_comments(rows: list[Row], how: CsvFormat) -> tuple[list[Row], list[Row]]:
    """Returns the rows and the comments."""
    if len(how.comment) > 2 and how.comment != AUTO:
        raise ValueError(f"data.comment: expected the one or two characters that begin a comment; got {how.comment!r}")
    if how.comment != AUTO:
        lines = {line for line, cells in rows if how.comment and cells[0].startswith(how.comment)}
    elif any(cells[0].startswith("#") for _, cells in rows):
        rows, lines = _comment_lines(rows, how.header)
    else:
        return rows, []
    return [row for row in rows if row[0] not in lines], [row for row in rows if row[0] in lines]


def _comment_lines(rows: list[Row], header: bool) -> tuple[list[Row], set[int]]:
    """Returns the rows and the lines that are comments: ``#`` may also begin the header, or names."""
    top = next((at for at, (_, cells) in enumerate(rows) if not cells[0].startswith("#")), len(rows))
    above, below = rows[:top], rows[top:]
    signs = [row for row in below if row[1][0].startswith("#")]
    if not below and all(_is_remark(cells[0]) for _, cells in rows):
        return rows, {line for line, _ in rows}
    if len(signs) >= len(below) / 2:
        return rows, set()
    usual = _most_common(_size(cells) for _, cells in below)
    comments = {line for line, cells in signs if _size(cells) != usual or _is_remark(cells[0])}
    if above and header:
        line, cells = above[-1]
        if names := _commented_names(cells, [row for number, row in below if number not in comments], usual):
            return [*above[:-1], (line, names), *below], comments | {line for line, _ in above[:-1]}
    return rows, comments | {line for line, _ in above}


def _is_remark(cell: str) -> bool:
    return cell == "#" or cell.startswith("# ")


def _commented_names(cells: list[str], below: Sequence[Sequence[str]], usual: int) -> list[str]:
    """Returns the names in a line that begins with ``#``; none: it is a comment.

    It is the header if the row below it has a number, or if no row has one.
    """
    is_apart = cells[0] == "#" and _size(cells) == usual + 1  # NumPy writes "# a b"
    if not is_apart and _size(cells) != usual:
        return []
    has_number = list(map(_has_number, below[:SAMPLE]))
    is_comment = is_apart or cells[0].startswith("# ")
    if not has_number[0] and (is_comment or sum(has_number) >= len(has_number) / 2):
        return []
    return cells[1:] if is_apart else [cells[0].removeprefix("# ").strip(), *cells[1:]]


def _has_number(cells: Iterable[str]) -> bool:
    return any(map(NUMBER.fullmatch, cells))


def _below_header(rows: list[Row]) -> tuple[list[Row], list[str], list[Row]]:
    """Returns the lines above the header, the header, and the rows below it.

    A line above the header has few cells where most have several, or contains the separator fewer times than the rows.
    """
    usual = _most_common(_size(cells) for _, cells in rows)
    first = next((at for at, (_, cells) in enumerate(rows) if _filled(cells) > usual / 2), 0)
    wide = next((at for at in range(first, len(rows)) if len(rows[at][1]) >= usual - 1), first)
    if first < wide < len(rows) - 1 and not _has_number(rows[wide][1]) and _has_number(rows[wide + 1][1]):
        first = wide
    return rows[:first], rows[first][1], rows[first + 1 :]


def _filled(cells: Sequence[str]) -> int:
    """Returns how many cells are not empty; the first, which is above the names of rows, counts."""
    filled = sum(map(bool, cells))
    return filled + (not cells[0] and (filled > 1 or len(cells) == 2))


def _without_notes(rows: list[Row]) -> tuple[list[Row], list[Row]]:
    """Returns the rows, and the lines below them that are one string without a separator, such as a source."""
    usual, last = _most_common(_size(cells) for _, cells in rows), len(rows)
    while usual > 1 and last > 2 and len(rows[last - 1][1]) == 1 and not _has_number(rows[last - 1][1]):
        last -= 1
    return rows[:last], rows[last:]


def _names(header: Sequence[str], rows: Sequence[Row]) -> tuple[list[str], list[str], list[Remark]]:
    """Returns the columns' names, those that are not the file's, and remarks."""
    names, remarks = list(header), []
    if _size(names) < len(names) and all(_size(cells) <= _size(names) for _, cells in rows):
        names = names[: _size(names)]
    if all(map(NUMBER.fullmatch, names)) and rows:
        shown = shortened([visible(name) for name in names], 5)
        text = f"the header consists of numbers: {shown}; if the file has none"
        remarks.append(Remark(text, setting("data.header", False)))
    if rows and _begins_with_row_names(names, rows):
        names = ["", *names]
    unnamed = [at for at, name in enumerate(names) if not name or re.fullmatch(r"Unnamed: \d+", name)]
    different = _different([name or f"column {at + 1}" for at, name in enumerate(names)])
    remarks += [
        Remark(f"the header has {visible(name)!r} twice; the later column is called {visible(new)}")
        for name, new in zip(names, different, strict=True)
        if name and name != new
    ]
    return different, [different[at] for at in unnamed], remarks


def _different(names: Sequence[str]) -> list[str]:
    """Returns names none of which occurs twice: a later one gets a number."""
    known, found = set(names), []
    for at, name in enumerate(names):
        if name in names[:at]:
            name = next(new for count in range(1, len(names) + 1) if (new := f"{name}.{count}") not in known)
            known.add(name)
        found.append(name)
    return found


def _begins_with_row_names(names: Sequence[str], rows: Sequence[Row]) -> bool:
    """R writes the names of the rows without a name of their own: 1, 2, 3 ... or strings that differ."""
    size = len(names) + 1
    if len(rows[0][1]) != size or any(len(cells) != size for _, cells in rows) or not any(r[1][-1] for r in rows):
        return False
    first = [cells[0] for _, cells in rows]
    if first in ([str(at) for at in range(start, start + len(rows))] for start in (0, 1)):
        return True
    return len(rows) > 2 and len(set(first)) == len(first) and not _has_number(first)


def _without_repeated(rows: list[Row], header: Sequence[str]) -> tuple[list[Row], list[Row]]:
    header = header[: _size(header)]
    repeated = [row for row in rows if row[1][0] == header[0] and row[1][: _size(row[1])] == header]
    lines = {line for line, _ in repeated}
    return ([row for row in rows if row[0] not in lines], repeated) if repeated else (rows, [])


def _frame(rows: Sequence[Row], names: Sequence[str]) -> tuple[pd.DataFrame, list[Remark]]:
    """Returns the cells of rows that are filled up to equal length, and a remark on those that are short."""
    size, short = len(names), []
    for line, cells in rows:
        if len(cells) > size:
            if any(cells[size:]):
                raise ValueError(_too_long(line, cells, size))
            del cells[size:]
        elif len(cells) < size:
            short.append(line)
            cells += [""] * (size - len(cells))
    by_column = np.ascontiguousarray(np.array([cells for _, cells in rows], object).T)
    # Strings as plain objects, because the string type of pandas takes several times longer.
    table = pd.DataFrame(by_column.T, [line for line, _ in rows], list(names), dtype=object)
    if not short:
        return table, []
    where = shortened([str(line) for line in short], 3)
    words = "1 line has" if len(short) == 1 else f"{len(short)} lines have"
    return table, [Remark(f"{words} fewer cells than the header (line {where}); the missing cells are empty")]


def _too_long(line: int, cells: Sequence[str], size: int) -> str:
    return (
        f"line {line}: expected {size} cells, as the header has; got {len(cells)}: "
        f"{visible(' | '.join(cells))[:200]}. Quote a cell that contains the separator, or set "
        f"{setting('data.separator', 'semicolon')} (or tab, pipe, comma)"
    )
