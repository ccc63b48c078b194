"""Words from data where signs in them would do something: in a terminal, in Markdown, in a spreadsheet."""

from __future__ import annotations

import re
import unicodedata

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001


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
