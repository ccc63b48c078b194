"""A page in one file: parts that escape their content, and the document around them.

Parts are functions that return :class:`Html`; any other content is text and is escaped.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import html
import json
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple, TypeGuard

from gradvitals.formatting import number, visible

Drawing = dict[str, Any]  # what Plotly draws: {"data": [...], "layout": {...}}
TALL = 24  # rows from which on a table scrolls by itself
NO_SCRIPT = "Figures are drawn by JavaScript, which is off here. Verdict, numbers and tables are complete without it."
FOOTER = "Made by gradvitals. This file is complete: it needs no network and can be sent as it is."


class Html(str):
    """Text that is already HTML."""


def escape(content: object) -> Html:
    """Returns HTML that shows a value; what is already HTML stays.

    Example:
        >>> escape("<script>"), escape(Html("<b>"))
        ('&lt;script&gt;', '<b>')
    """
    return content if isinstance(content, Html) else Html(html.escape(visible(str(content))))


def join(parts: Iterable[object], between: str = "") -> Html:
    """Returns parts one after the other, with a text between them."""
    return Html(escape(between).join(escape(part) for part in parts))


def tag(name: str, *content: object, **attributes: object) -> Html:
    """Returns an element; an attribute of None is left out, ``class_`` is ``class`` and ``data_x`` is ``data-x``.

    Example:
        >>> tag("p", "a < b", class_="muted")
        '<p class="muted">a &lt; b</p>'
    """
    pairs = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items() if value is not None)
    written = "".join(f' {key}="{html.escape(visible(str(value)))}"' for key, value in pairs)
    return Html(f"<{name}{written}>{join(content)}</{name}>")


def section(title: str, *parts: object) -> Html:
    """Returns a heading with what belongs under it; the line of links at the top of the page leads to it."""
    return tag("section", tag("h2", title), *parts, id=_anchor(title))


def _anchor(title: str) -> str:
    return "-".join(title.lower().split())


def paragraph(*content: object) -> Html:
    """Returns a paragraph."""
    return tag("p", *content)


def note(*content: object) -> Html:
    """Returns a paragraph in a muted color."""
    return tag("p", *content, class_="muted")


def command(text: str) -> Html:
    """Returns a command to type; one click selects all of it."""
    return tag("pre", text, class_="command")


def details(summary: str, *content: object, printed: bool = True) -> Html:
    """Returns content that a click opens; it is printed open, or not at all."""
    return tag("details", tag("summary", summary), *content, class_=None if printed else "screen")


def facts(pairs: Iterable[tuple[str, object, str]]) -> Html:
    """Returns a few numbers in large letters: a name, a value, and a remark below."""
    items = (
        tag("div", tag("dt", name), tag("dd", _shown(value), tag("small", remark))) for name, value, remark in pairs
    )
    return tag("dl", *items, class_="facts")


def bar(share: float) -> Html:
    """Returns a small bar whose length is a share, from 0 to 1, for a cell beside the number.

    Example:
        >>> bar(0.5)
        '<span class="share" aria-hidden="true"><span style="width:50.0%"></span></span>'
    """
    return tag("span", tag("span", style=f"width:{min(max(share, 0), 1):.1%}"), class_="share", aria_hidden="true")


def row(figures: Iterable[Html]) -> Html:
    """Returns figures side by side where the window is wide enough."""
    return tag("div", *figures, class_="row")


def table(
    head: Sequence[object],
    rows: Sequence[Sequence[object]],
    caption: str | None = None,
    sortable: bool = False,
) -> Html:
    """Returns rows under headings.

    Args:
        head: one for each column; a column is aligned to the right where its first known value is a number.
        rows: cells: numbers, None, text, or Html.
        caption: what the table shows.
        sortable: whether a click on a heading sorts.

    Example:
        >>> table(["loss"], [[None], [0.5]]).partition("<tbody>")[2].partition("</tbody>")[0]
        '<tr><td class="number">-</td></tr><tr><td class="number" data-value="0.5">0.5</td></tr>'
    """
    right = [_is_number(next((row[i] for row in rows if row[i] is not None), None)) for i in range(len(head))]
    headings = (_heading(name, is_number, sortable) for name, is_number in zip(head, right, strict=True))
    body = (tag("tr", *(_cell(value, is_number) for value, is_number in zip(row, right, strict=True))) for row in rows)
    whole = tag("table", tag("thead", tag("tr", *headings)), tag("tbody", *body), aria_label=caption)
    scroll = tag("div", whole, class_="scroll tall" if len(rows) > TALL else "scroll", tabindex=0)
    # Not a <caption>: that one scrolls away with a wide table.
    return join([tag("p", caption, class_="caption"), scroll]) if caption else scroll


def _heading(name: object, is_number: bool, sortable: bool) -> Html:
    words = tag("button", name, type="button") if sortable and name else name
    return tag("th", words, scope="col", class_="number" if is_number else None)


def _cell(value: object, is_number: bool) -> Html:
    known = value if _is_number(value) else None
    return tag("td", _shown(value), class_="number" if is_number else None, data_value=known)


def _shown(value: object) -> object:
    return number(value) if value is None or _is_number(value) else value


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def figure(drawing: Drawing, title: str, caption: object = "", choices: Sequence[str] = ()) -> Html:
    """Returns a figure under its title; with choices, a list to select one of its parts (``meta.choice``) from."""
    options = (tag("option", choice, value=i) for i, choice in enumerate(choices))
    select = tag("select", *options, aria_label=title) if len(choices) > 1 else ""
    height = f"height:{drawing['layout'].get('height', 300)}px"
    plot = tag("div", class_="plot", style=height, role="img", aria_label=title)
    return tag("figure", tag("figcaption", tag("b", title), caption), select, plot, _json(drawing))


def picture(png: bytes, description: str, style: str | None = None) -> Html:
    """Returns a picture that is part of the page's file; ``style`` where there is no style sheet."""
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return tag("img", src=source, alt=description, class_=None if style else "picture", style=style)


def _json(drawing: Drawing) -> Html:
    # ``<`` is escaped, so that no text of the figure ends the element.
    text = json.dumps(drawing, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    return Html(f'<script type="application/json">{text}</script>')


@cache
def asset(name: str) -> str:
    """Returns the content of a file in ``assets/``."""
    return (files("gradvitals.report.pages") / "assets" / name).read_text(encoding="utf-8")


class Library(NamedTuple):
    """The plotting library, compressed for a page, and the digest by which the page admits it."""

    packed: str
    digest: str


@cache
def library() -> Library:
    """Returns Plotly as its package contains it.

    It is 4.8 MB of JavaScript: gzip makes 1.5 MB of it, 2 MB as text, and browsers unpack it by themselves. Done once
    in a process because it takes 0.2 s; a higher level takes 0.3 s more and saves 1 %.
    """
    source = (files("plotly") / "package_data" / "plotly.min.js").read_bytes()
    return Library(base64.b64encode(gzip.compress(source, 6, mtime=0)).decode(), _digest(source))


def _digest(source: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source).digest()).decode()}'"


def document(title: str, header: Iterable[object], parts: Iterable[Html | None]) -> str:
    """Returns the page: header, links to the sections, sections.

    Nothing is fetched, and only two scripts run, this project's and Plotly, known by their digests: if a text were
    ever not escaped, it still could not run.

    Args:
        title: of the browser's window.
        header: what the page opens with.
        parts: made by :func:`section`; None is left out.
    """
    sections = [part for part in parts if part]
    has_figures = any('class="plot"' in part for part in sections)
    script = asset("page.js")
    scripts = f"<script>{script}</script>"
    digests = [_digest(script.encode())]
    if has_figures:
        scripts = f'<script type="text/plain" id="plotly">{library().packed}</script>\n{scripts}'
        digests.append(library().digest)
    rules = f"default-src 'none'; script-src {' '.join(digests)}; style-src 'unsafe-inline'; img-src data: blob:"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{rules}">'
        f"<title>{escape(title)}</title><style>{asset('page.css')}</style>"
    )
    body = [
        tag("header", *header, _links(sections)),
        tag("noscript", note(NO_SCRIPT)),
        tag("main", *sections),
        tag("footer", FOOTER),
    ]
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head>\n<body>{join(body)}\n{scripts}</body></html>\n'


def _links(sections: Sequence[Html]) -> Html:
    titles = [html.unescape(part.partition("<h2>")[2].partition("</h2>")[0]) for part in sections]
    return tag("nav", *(tag("a", title, href=f"#{_anchor(title)}") for title in titles), aria_label="Sections")
