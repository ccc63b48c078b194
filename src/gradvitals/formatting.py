"""How numbers, durations, paths, names and untrusted text are shown."""

from __future__ import annotations

import math
import re
import shlex
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

BEHIND = 2**63  # words sort after numbers


def visible(text: str) -> str:
    r"""Control characters as their escapes, so that no data steers a terminal; ends of lines stay.

    Example:
        >>> visible("a\x1b[31m\nb")
        'a\\x1b[31m\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else ascii(c)[1:-1] for c in text)


def markdown_text(text: object) -> str:
    r"""Words inside a line of Markdown: no tag, no link, no end of the line, the cell or the code.

    Example:
        >>> markdown_text("<b>\n[x](http://y) | `z`")
        "&lt;b> [x] (http://y) / 'z'"
    """
    line = visible(" ".join(str(text).split()))
    return re.sub(r"\](?=[(\[:])", "] ", line).replace("<", "&lt;").replace("|", "/").replace("`", "'")


def spreadsheet_text(value: object) -> object:
    """A cell's value; a text that a spreadsheet would take for a formula has an apostrophe in front.

    Example:
        >>> spreadsheet_text("=1+1"), spreadsheet_text("-1.5"), spreadsheet_text(-1.5)
        ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str) or _is_number(value):
        return value
    words = visible(value)
    return f"'{words}" if words.startswith(FORMULA) else words


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def short(path: Path) -> str:
    """Relative to the working folder where the path lies in it."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def typed(script: str, overrides: Iterable[str]) -> str:
    """What to type, quoted for a shell.

    Example:
        >>> typed("src/cure.py", ["model.hidden=[300,100]"])
        "python src/cure.py 'model.hidden=[300,100]'"
    """
    return shlex.join(["python", script, *overrides])


def train_command(overrides: Iterable[str]) -> str:
    """The command of a run."""
    return typed("src/train.py", overrides)


def time(seconds: float | None) -> str | None:
    """How long, as people say it.

    Example:
        >>> time(3.21), time(400.0), time(9000.0)
        ('3.2 s', '6.7 min', '2.5 h')
    """
    if seconds is None:
        return None
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.1f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def counts(counted: Counter[str]) -> str:
    """How many of which, the most frequent first.

    Example:
        >>> counts(Counter(["healthy", "healthy", "stalled"]))
        '2 healthy, 1 stalled'
    """
    return ", ".join(f"{count} {name}" for name, count in counted.most_common())


def number(value: float | None, digits: int = 4) -> str:
    """Returns a number as people read it; ``-`` where there is none, or it is not finite.

    Example:
        >>> number(0.98765), number(0.98765, 2), number(1234567), number(3.2e-08), number(None)
        ('0.9877', '0.99', '1,234,567', '3.2e-08', '-')
    """
    if value is None or not math.isfinite(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.{digits}g}"


def counted(counts: Counter[str]) -> str:
    """Such as ``healthy 2, vanishing``; the number only where there are several.

    Example:
        >>> counted(Counter({"healthy": 2, "vanishing": 1}))
        'healthy 2, vanishing'
    """
    return ", ".join(f"{word} {n}" if n > 1 else word for word, n in counts.most_common())


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts numbers in names by their size.

    Example:
        >>> sorted(["10_b", "2_b", "b"], key=natural)
        ['2_b', '10_b', 'b']
    """
    parts = re.split(r"([0-9]+)", text)
    return [(int(part), "") if part.isdecimal() else (BEHIND, part) for part in parts if part]
