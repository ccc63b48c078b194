"""What a notebook shows of a monitor, a pre-flight and a sweep: HTML without scripts and style sheets.

Notebooks have light and dark themes, and some viewers remove style sheets. So text and lines have the notebook's own
color, and only what needs a color of its own brings its background with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradvitals.diagnosis.outcome import HEALTHY
from gradvitals.report.pages.page import Html, picture, tag
from gradvitals.report.pages.phrases import SIGNS, Look, look_of
from gradvitals.report.tables.preflight import TITLES, cells, remarks
from gradvitals.report.tables.sweep import answer, averaged_lines, table_cells
from gradvitals.report.tables.vitals_summary import VitalsSummary, layer_rows
from gradvitals.results.aggregate import Sweep
from gradvitals.signal_propagation.reading import Preflight

WIDTH = "max-width:60em;overflow-wrap:anywhere"
COLORS: dict[Look, str] = {"good": "#1b7a3d", "bad": "#b3261e", "undecided": "#5f6368", "muted": "#5f6368"}
BADGE = "display:inline-block;padding:1px 9px;border-radius:9px;color:#fff;font-weight:600;background:"
NUMBER = "text-align:right;white-space:nowrap;padding:1px 0 1px 1.2em"
NAME = "text-align:left;padding:1px 0 1px 1.2em;max-width:24em;word-break:break-all;white-space:normal"
HEAD = ";border-bottom:1px solid currentColor;font-weight:600"
PICTURE = "max-width:100%;background:#fff;border-radius:4px"
LONGEST = 64  # characters of a name, whose end is shown
MOST = 40  # rows of a table


def vitals_card(found: VitalsSummary, png: bytes | None = None, remark: str = "") -> Html:
    """Returns what a notebook shows of a monitor: verdict, evidence, advice, the picture and the telling layers.

    Args:
        png: the picture of the gradient by layer; None: there is none.
        remark: why not.
    """
    advice = found.diagnosis.advice
    rows = layer_rows(found, LONGEST)
    parts = [
        _line(_badge(look_of([found.diagnosis.verdict]), found.verdict), " ", found.evidence),
        *(_line("With it: ", symptom) for symptom in found.symptoms),
        _line(tag("b", "What may help: "), advice) if advice else "",
        _muted("Measured: ", found.steps),
        _picture(png, "L2 norm of dL/dh by layer, one line for each measured step"),
        _muted(remark) if remark else "",
        _table(rows[0], rows[1:], left=(1,)) if rows else "",
    ]
    return _card(parts)


def preflight_card(found: Preflight, png: bytes | None = None) -> Html:
    """Returns what a notebook shows of a pre-flight: verdict, loss, and the layers measured beside predicted.

    Args:
        png: the picture of the gradient through time; None: there is none.
    """
    name, evidence = found.verdict
    look: Look = "undecided" if name == "unknown" else look_of([name])
    *facts, _ = remarks(found)
    rows = [list(cells(layer, LONGEST)) for layer in found.layers]
    verdict = "even" if name == HEALTHY else name  # of a profile, which does not say what the network will learn
    first = _line(_badge(look, verdict), " ", evidence)
    drawn = _picture(png, "L2 norm of dL/dx by time step, measured and predicted")
    return _card([first, *map(_muted, facts), drawn, _table(TITLES, _cut(rows, last=MOST // 2, place=1), left=(1,))])


def sweep_card(sweep: Sweep) -> Html:
    """Returns what a notebook shows of a sweep: the best configuration, the table, and each key's effect."""
    titles, rows = table_cells(sweep)
    effects = [_muted(line) for line in averaged_lines(sweep)]
    left = range(len(sweep.keys))
    return _card([_line(answer(sweep)), _table(titles, _cut(rows), left=left), *effects])


def _card(parts: Sequence[object]) -> Html:
    return tag("div", *parts, style=WIDTH)


def _line(*words: object) -> Html:
    return tag("div", *words, style="margin:3px 0")


def _muted(*words: object) -> Html:
    return tag("div", *words, style="margin:3px 0;opacity:.75")


def _badge(look: Look, words: str) -> Html:
    """The verdict on a color; a sign too, because not everybody distinguishes colors."""
    return tag("span", f"{SIGNS[look]} {words}", style=BADGE + COLORS[look])


def _picture(png: bytes | None, shown: str) -> Html:
    return tag("div", picture(png, shown, style=PICTURE)) if png else Html()


def _cut(rows: list[list[str]], last: int = 0, place: int = 0) -> list[list[str]]:
    """The first and the ``last`` rows of many, and in a column between them how many are left out."""
    if len(rows) <= MOST:
        return rows
    more = [f"... {len(rows) - MOST} more" if at == place else "" for at, _ in enumerate(rows[0])]
    return [*rows[: MOST - last], more, *rows[len(rows) - last :]]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[int]) -> Html:
    styles = [NAME if place in left else NUMBER for place in range(len(titles))]
    head = tag("tr", *(tag("th", title, style=s + HEAD) for title, s in zip(titles, styles, strict=True)))
    body = [tag("tr", *(tag("td", c, style=s) for c, s in zip(row, styles, strict=True))) for row in rows]
    whole = tag("table", head, *body, style="border-collapse:collapse;margin:6px 0;font-size:90%")
    return tag("div", whole, style="overflow-x:auto")
