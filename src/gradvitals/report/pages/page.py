"""A page in one file: parts that escape what they are given, and the document around them.

Parts are functions that return :class:`Html`; whatever else is put into one is text and is escaped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
import math
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from gradvitals.formatting import visible
from gradvitals.report.script import SCRIPT
from gradvitals.report.style import CSS

Drawing = dict[str, Any]  # what Plotly draws: {"data": [...], "layout": {...}}
NOTHING = "-"


class Html(str):
    """Text that is HTML already."""


def escape(content: object) -> Html:
    """Any value as HTML that shows it; what is HTML already stays.

    Example:
        >>> escape("<script>"), escape(Html("<b>"))
        ('&lt;script&gt;', '<b>')
    """
    return content if isinstance(content, Html) else Html(html.escape(visible(str(content))))


def join(parts: Iterable[object]) -> Html:
    """Parts one after the other."""
    return Html("".join(escape(part) for part in parts))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """An element; an attribute that is None is left out, ``class_`` is ``class`` and ``data_x`` is ``data-x``.

    Example:
        >>> tag("p", "a < b", class_="muted")
        '<p class="muted">a &lt; b</p>'
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    written = "".join(f' {key}="{html.escape(visible(str(value)))}"' for key, value in pairs)
    return Html(f"<{name}{written}>{join(content)}</{name}>")


def section(title: str, *parts: object) -> Html:
    """A heading with what belongs under it; the page's line of links leads to it."""
    return tag("section", tag("h2", title), *parts, id=anchor(title))


def anchor(title: str) -> str:
    """A heading's name in links."""
    return "-".join(title.lower().split())


def paragraph(*content: object) -> Html:
    """A paragraph."""
    return tag("p", *content)


def note(*content: object) -> Html:
    """A paragraph that stands back."""
    return tag("p", *content, class_="muted")


def command(text: str) -> Html:
    """Something to type; one click selects it all."""
    return tag("pre", text, class_="command")


def details(summary: str, *content: object, printed: bool = True) -> Html:
    """What opens by a click, and on paper if it is to be printed."""
    return tag("details", tag("summary", summary), *content, class_=None if printed else "screen")


def facts(pairs: Iterable[tuple[str, object, str]]) -> Html:
    """A few numbers in large letters: what, how much, and a remark below."""
    items = (tag("div", tag("dt", name), tag("dd", show(value), tag("small", remark))) for name, value, remark in pairs)
    return tag("dl", *items, class_="facts")


def show(value: object) -> object:
    """A number as people read it; a dash for None.

    Example:
        >>> show(0.98765), show(1234567), show(3.2e-08), show(None)
        ('0.9877', '1,234,567', '3.2e-08', '-')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:.4g}"


TALL = 24  # rows from which on a table scrolls by itself


def table(
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    caption: str | None = None,
    sortable: bool = False,
    marks: Sequence[str | None] = (),
) -> Html:
    """Rows under headings.

    Args:
        head: one for each column; a column stands to the right where its first known value is a number.
        rows: cells: numbers, None, text, or Html.
        caption: what it is.
        sortable: by a click on a heading.
        marks: a class for each row.

    Example:
        >>> table(["loss"], [[None], [0.5]]).partition("<tbody>")[2].partition("</tbody>")[0]
        '<tr><td class="number">-</td></tr><tr><td class="number" data-value="0.5">0.5</td></tr>'
    """
    right = [_is_number(next((row[i] for row in rows if row[i] is not None), None)) for i in range(len(head))]
    headings = (_heading(name, number, sortable) for name, number in zip(head, right, strict=True))
    body = (
        tag("tr", *(_cell(value, number) for value, number in zip(row, right, strict=True)), class_=mark)
        for row, mark in zip(rows, marks or [None] * len(rows), strict=True)
    )
    whole = tag("table", tag("thead", tag("tr", *headings)), tag("tbody", *body), aria_label=caption)
    scroll = tag("div", whole, class_="scroll tall" if len(rows) > TALL else "scroll", tabindex=0)
    # Not a <caption>: that one scrolls away with a wide table.
    return join([tag("p", caption, class_="caption"), scroll]) if caption else scroll


def _heading(name: object, number: bool, sortable: bool) -> Html:
    words = tag("button", name, type="button") if sortable and name else name
    return tag("th", words, scope="col", class_="number" if number else None)


def _cell(value: object, number: bool) -> Html:
    known = value if _is_number(value) else None
    return tag("td", show(value), class_="number" if number else None, data_value=known)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def figure(drawing: Drawing, title: str, caption: object = "", choices: Sequence[str] = ()) -> Html:
    """A figure under its title; with choices, a list to select one of its parts (``meta.choice``) from."""
    options = (tag("option", choice, value=i) for i, choice in enumerate(choices))
    select = tag("select", *options, aria_label=title) if len(choices) > 1 else ""
    height = f"height:{drawing['layout'].get('height', 300)}px"
    plot = tag("div", class_="plot", style=height, role="img", aria_label=title)
    return tag("figure", tag("figcaption", tag("b", title), caption), select, plot, _json(drawing))


def _json(drawing: Drawing) -> Html:
    """A figure's numbers. ``<`` is written so that no text in them can end the element."""
    text = json.dumps(drawing, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json">{text}</script>')


class Library(NamedTuple):
    """The plotting library: packed for a page, and the sum by which the page admits it."""

    packed: str
    digest: str


@lru_cache(maxsize=1)
def library() -> Library:
    """Plotly as it lies in its package.

    It is 4.8 MB of JavaScript: gzip makes 1.5 MB of it, 2 MB as text, and browsers unpack it by themselves. Done once
    in a process, for it takes 0.2 s; a higher level takes 0.3 s more and saves 1 %.
    """
    from importlib.resources import files

    source = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return Library(base64.b64encode(gzip.compress(source, 6, mtime=0)).decode(), _digest(source))


def _digest(source: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode()}'"


def document(title: str, header: Iterable[object], sections: Sequence[Html]) -> str:
    """The page: header, links to the sections, sections.

    Nothing is fetched, and only two scripts run, this project's and Plotly, known by their sums: should a text ever
    slip through unescaped, it would still do nothing.

    Args:
        title: of the browser's window.
        header: what the page opens with.
        sections: made by :func:`section`.
    """
    body = [tag("header", *header, links(sections)), tag("noscript", note(NO_SCRIPT)), tag("main", *sections)]
    drawn = any('class="plot"' in part for part in sections)
    scripts = _scripts(library() if drawn else None)
    head = f'<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">{_policy(drawn)}'
    inner = join([*body, tag("footer", FOOTER)])
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head>{head}<title>{escape(title)}</title><style>{CSS}</style></head>\n'
        f"<body>{inner}\n{scripts}</body></html>\n"
    )


NO_SCRIPT = "Figures are drawn by JavaScript, which is off here. Verdict, numbers and tables are complete without it."
FOOTER = "Made by gradvitals. This file is complete: it needs no network and can be sent as it is."


def links(sections: Sequence[Html]) -> Html:
    """A line of links to the sections."""
    titles = [html.unescape(part.partition("<h2>")[2].partition("</h2>")[0]) for part in sections]
    return tag("nav", *(tag("a", title, href=f"#{anchor(title)}") for title in titles), aria_label="Sections")


def _policy(drawn: bool) -> str:
    sums = " ".join([_digest(SCRIPT.encode()), *([library().digest] if drawn else [])])
    rules = f"default-src 'none'; script-src {sums}; style-src 'unsafe-inline'; img-src data: blob:"
    return f'<meta http-equiv="Content-Security-Policy" content="{rules}">'


def _scripts(packed: Library | None) -> str:
    data = f'<script type="text/plain" id="plotly">{packed.packed}</script>\n' if packed else ""
    return f"{data}<script>{SCRIPT}</script>"
