"""Formats numbers, durations, paths, names and untrusted text for people."""

from __future__ import annotations

import math
import os
import re
import shlex
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001

BARE = re.compile(r"[A-Za-z0-9_./%*@?|+-]+")  # strings that Hydra's grammar takes without quotes
RESERVED = re.compile(  # and those of them that it takes for something else
    r"null|true|false|[+-]?(inf|nan|(\d[\d_]*\.?|\d*[\d_]*\.\d[\d_]*)(e[+-]?\d[\d_]*)?)", re.IGNORECASE
)

SCRIPT = "GRADVITALS_SCRIPT"  # set by the commands: the script that was called, or the name after ``gradvitals``
AFTER_NUMBERS = 2**63  # sorts the other parts of a name after its numbers


def visible(text: str) -> str:
    r"""Returns the text with control characters escaped, so that no data controls a terminal; line ends stay.

    Example:
        >>> visible("a\x1b[31m\nb")
        'a\\x1b[31m\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c == "\n" or unicodedata.category(c)[0] != "C" else ascii(c)[1:-1] for c in text)


def markdown_text(text: object) -> str:
    r"""Returns text that is safe inside a line of Markdown: it opens no tag or link and ends no line, cell or code.

    Example:
        >>> markdown_text("<b>\n[x](http://y) | `z`")
        "&lt;b> [x] (http://y) / 'z'"
    """
    line = visible(" ".join(str(text).split()))
    return re.sub(r"\](?=[(\[:])", "] ", line).replace("<", "&lt;").replace("|", "/").replace("`", "'")


def spreadsheet_text(value: object) -> object:
    """Returns a cell's value; a string that a spreadsheet would take for a formula gets an apostrophe in front.

    Example:
        >>> spreadsheet_text("=1+1"), spreadsheet_text("-1.5"), spreadsheet_text(-1.5)
        ("'=1+1", '-1.5', -1.5)
    """
    if not isinstance(value, str) or _is_number(value):
        return value
    text = visible(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def short(path: Path) -> str:
    """Returns a path inside the working folder relative to it, any other path as it is."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def in_shell(path: Path) -> str:
    """Returns a path as it is typed in a POSIX shell, relative to the working folder where it is inside.

    Example:
        >>> in_shell(Path("my logs/act=elu")), in_shell(Path("logs/act-elu"))
        ("'my logs/act=elu'", 'logs/act-elu')
    """
    return shlex.quote(short(path))


def command(name: str) -> str:
    """Returns how a command is typed: by its script, or by ``gradvitals`` where this process was started so.

    Example:
        >>> command("cure")
        'python src/cure.py'
    """
    called = os.environ.get(SCRIPT)  # the path of a script, or the name of a command
    return f"python src/{name}.py" if called is None or os.path.isabs(called) else f"gradvitals {name}"


def typed(name: str, overrides: Iterable[str]) -> str:
    """Returns a command with its overrides, quoted for a shell.

    Example:
        >>> typed("cure", ["model.hidden=[300,100]"])
        "python src/cure.py 'model.hidden=[300,100]'"
    """
    return " ".join([command(name), *map(shlex.quote, overrides)])


def as_typed(value: Any) -> str:
    r"""Returns a plain value as it is typed in an override; a string that Hydra would misread is in double quotes.

    Example:
        >>> as_typed(None), as_typed(True), as_typed(0.1), as_typed([300, None])
        ('null', 'true', '0.1', '[300,null]')
        >>> print(as_typed(["Age", "Name (full)", "größe", "true", "12"]))
        [Age,"Name (full)","größe","true","12"]
    """
    if isinstance(value, str):
        return value if BARE.fullmatch(value) and not RESERVED.fullmatch(value) else _double_quoted(value)
    return f"[{','.join(map(as_typed, value))}]" if isinstance(value, (list, tuple)) else plain(value)


def _double_quoted(text: str) -> str:
    """A string in Hydra's double quotes, in which a backslash is special only before a quote and before ``${``."""
    literal = re.sub(r"(\\*)\$\{", r"\1\1\\${", text)  # OmegaConf reads it after Hydra
    return '"' + re.sub(r'(\\*)("|$)', lambda found: found[1] * 2 + ('\\"' if found[2] else ""), literal) + '"'


def setting(key: str, value: Any) -> str:
    """Returns one override, quoted for Hydra and for a POSIX shell.

    Example:
        >>> print(setting("data.decimal", "comma"), setting("data.drop", ["Customer Name (full)"]))
        data.decimal=comma 'data.drop=["Customer Name (full)"]'
    """
    return shlex.quote(f"{key}={as_typed(value)}")


def plain(value: Any) -> str:
    """Returns a plain value as people read it, its strings without quotes.

    Example:
        >>> plain(None), plain(True), plain(["a b", 0.1])
        ('null', 'true', '[a b,0.1]')
    """
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(plain, value))}]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def duration(seconds: float) -> str:
    """Returns a duration in its two largest units.

    Example:
        >>> duration(3.21), duration(100), duration(7260)
        ('3.2 s', '1 min 40 s', '2 h 1 min')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def counts(counted: Counter[str]) -> str:
    """Returns how often each name occurs, the most frequent first.

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


def shortened(names: Sequence[str], most: int) -> str:
    """Returns the first names, and how many more there are.

    Example:
        >>> shortened(["a", "b"], 2), shortened(["a", "b", "c", "d"], 2)
        ('a, b', 'a, b and 2 more')
    """
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"


def wrapped(line: str, indent: int, width: int = 80) -> str:
    """Returns a line as several ones at most that wide; no word is broken, so that paths can be copied.

    Args:
        indent: of the lines after the first one, and length of the label that the first one begins with.

    Example:
        >>> print(wrapped("metrics  loss 0.5, accuracy 0.75", 9, 20))
        metrics  loss 0.5,
                 accuracy
                 0.75
    """
    if len(line) <= width:
        return line
    wrapper = textwrap.TextWrapper(width, line[:indent], " " * indent, break_long_words=False, break_on_hyphens=False)
    return wrapper.fill(line[indent:])


def counted(names: Counter[str]) -> str:
    """Returns the names for a cell of a table, the most frequent first, with a count where it is more than 1.

    Example:
        >>> counted(Counter({"healthy": 2, "vanishing": 1}))
        'healthy 2, vanishing'
    """
    return ", ".join(f"{name} {count}" if count > 1 else name for name, count in names.most_common())


def natural(text: str) -> list[tuple[int, str]]:
    """Returns a key that sorts names by the size of the numbers in them.

    Example:
        >>> sorted(["10_b", "2_b", "b"], key=natural)
        ['2_b', '10_b', 'b']
    """
    parts = re.split(r"([0-9]+)", text)
    return [(int(part), "") if part.isdecimal() else (AFTER_NUMBERS, part) for part in parts if part]
