"""The page of a sweep: the answer, then what each key does, and what failed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from gradvitals.formatting import counted, counts, train_command
from gradvitals.report.pages import phrases as words
from gradvitals.report.pages.page import Drawing, Html, command, document, figure, note, paragraph, section, table, tag
from gradvitals.report.pages.sweep_figures import Grid, grids, points
from gradvitals.report.panels import panels
from gradvitals.report.tables.sweep import averaged, failures, spread_words
from gradvitals.results.aggregate import Configuration, MeanStd, Sweep, shows_trainable
from gradvitals.results.status import Status

MOST_PANELS = 60
MOST_VALUES = 30  # of a key, from which on it has no bars of its own: a rate that was drawn at random
DEFAULT = "(default)"


def sweep_page(sweep: Sweep, extra_figures: Sequence[tuple[str, Drawing]] = ()) -> str:
    """The page of a sweep, complete in one file.

    Args:
        sweep: from :func:`gradvitals.results.aggregate.fold`.
        extra_figures: title and Plotly figure of others, shown as they are.

    Example:
        >>> from gradvitals.results.aggregate import fold
        >>> "No configuration has a result" in sweep_page(fold([]))
        True
    """
    parts = [_table(sweep), _effects(sweep), _interactions(sweep), _extra(extra_figures), _gradients(sweep)]
    sections = [*parts, _failed(sweep)]
    return document(f"Sweep of {len(sweep.rows)} configurations", _header(sweep), [part for part in sections if part])


def _header(sweep: Sweep) -> list[Html]:
    size = f"{len(sweep.runs)} runs of {len(sweep.rows)} configurations, {_seeds(sweep.seeds)}"
    over = tag("p", f"{size}: {counts(sweep.statuses)}", class_="over")
    best = next((row for row in sweep.rows if row.objective.n), None)
    if best is None or sweep.objective is None:
        return [over, tag("h1", "No configuration has a result")]
    runs = "1 run" if best.objective.n == 1 else f"mean ± sd of {best.objective.n} runs"
    again = words.alone(best.ended[0])
    return [
        over,
        tag("h1", f"Best {sweep.objective}: {spread_words(best.objective)}"),
        tag("p", tag("code", best.name), f", {runs}", class_="lede"),
        command(train_command(again)),
    ]


def _seeds(count: int) -> str:
    return "1 seed" if count == 1 else f"{count} seeds"


def _table(sweep: Sweep) -> Html:
    own = sweep.objective != sweep.metric
    spreads = [*([str(sweep.objective)] if own else []), f"{sweep.metric}, best", f"{sweep.metric}, final"]
    head = [
        "#",
        *sweep.keys,
        *(word for name in spreads for word in (name, "sd")),
        "ended",
        "verdicts",
        "gain per layer",
    ]
    rows = [[place, *_row(row, sweep, own)] for place, row in enumerate(sweep.rows, 1)]
    head.append("seconds")
    if shows_trainable(sweep):
        head.append("trainable depth, by theory")
        rows = [[*cells, row.trainable.mean] for cells, row in zip(rows, sweep.rows, strict=True)]
    caption = "Best first; a click on a heading sorts. Means and standard deviations over the seeds of runs that ended."
    return section("Configurations", table(head, rows, caption=caption, sortable=True))


def _row(row: Configuration, sweep: Sweep, own: bool) -> list[object]:
    settings = [tag("code", row.settings.get(key, DEFAULT), class_="key") for key in sweep.keys]
    spreads = [*([row.objective] if own else []), row.best, row.final]
    numbers = [value for spread in spreads for value in (spread.mean, spread.sd)]
    verdicts = words.mark(set(row.verdicts) == {words.HEALTHY}, counted(row.verdicts)) if row.verdicts else None
    return [*settings, *numbers, _ended(row), verdicts, row.gain.mean, row.seconds.mean]


def _ended(row: Configuration) -> Html:
    """How many runs count, and what became of the others."""
    others = {status: count for status, count in row.statuses.items() if not Status(status).counts}
    rest = f": {counts(Counter(others))}" if others else ""
    return tag("span", f"{len(row.ended)} of {len(row.runs)}{rest}", class_="marked")


def _effects(sweep: Sweep) -> Html | None:
    """What each key does on average over all the others, on one scale."""
    found = {key: effects for key, effects in averaged(sweep).items() if _tells(effects)}
    if not found:
        return None
    limits = _limits([spread for effects in found.values() for spread in effects.values()])
    drawn = [figure(_points(effects, sweep, limits), key, _span(effects)) for key, effects in found.items()]
    says = note(f"{sweep.objective} by the value of each key: mean and standard deviation over all other keys.")
    return section("What each key does", says, tag("div", *drawn, class_="row"))


def _tells(effects: Mapping[str, MeanStd]) -> bool:
    """Whether values of a key can be compared, and be shown side by side."""
    return len(effects) <= MOST_VALUES and sum(spread.n > 0 for spread in effects.values()) > 1


def _limits(spreads: Sequence[MeanStd]) -> list[float]:
    """Ends of an axis that holds all means with their deviations."""
    known = [(spread.mean, spread.sd or 0.0) for spread in spreads if spread.mean is not None]
    low, high = min(mean - sd for mean, sd in known), max(mean + sd for mean, sd in known)
    room = 0.05 * ((high - low) or 1.0)
    return [low - room, high + room]


def _points(effects: Mapping[str, MeanStd], sweep: Sweep, limits: list[float]) -> Drawing:
    rows = [(value or DEFAULT, spread.mean, spread.sd) for value, spread in effects.items()]
    return points(rows, str(sweep.objective), limits)


def _span(effects: Mapping[str, MeanStd]) -> str:
    """How much the key decides, in a few words."""
    means = [spread.mean for spread in effects.values() if spread.mean is not None]
    return f"Best and worst value differ by {max(means) - min(means):.3g}."


def _interactions(sweep: Sweep) -> Html | None:
    """Two keys at a time."""
    pairs = [pair for pair in sweep.interactions if all(_tells(sweep.effects[key]) for key in pair)]
    if not pairs:
        return None
    drawing = grids([_grid(sweep, *pair) for pair in pairs], str(sweep.objective), sweep.lower_is_better)
    how = f"Mean {sweep.objective} over all other keys; bright is better. Grey: no run ended there."
    return section("Two keys together", figure(drawing, "Pairs of keys", how, [f"{a} and {b}" for a, b in pairs]))


def _grid(sweep: Sweep, a: str, b: str) -> Grid:
    cells, rows, columns = sweep.interactions[a, b], list(sweep.effects[a]), list(sweep.effects[b])
    values = [[cells[x, y].mean if (x, y) in cells else None for y in columns] for x in rows]
    names = [
        [f"{key}={value}" if value else f"{key}: default" for value in many] for key, many in ((a, rows), (b, columns))
    ]
    return Grid(names[0], names[1], values)


def _gradients(sweep: Sweep) -> Html:
    shown = sweep.rows[:MOST_PANELS]
    less = f" The best {MOST_PANELS} of {len(sweep.rows)}." if len(sweep.rows) > MOST_PANELS else ""
    key = paragraph(
        "‖dL/dh‖ over the layers, input on the left, one scale for all. ",
        tag("span", "—— first step", class_="start"),
        ", ",
        tag("span", "- - - last measured step", class_="end"),
        f".{less}",
    )
    return section("Gradient by layer", key, panels([(row.name, row.runs) for row in shown]))


def _failed(sweep: Sweep) -> Html | None:
    lost = failures(sweep)
    if not lost:
        return None
    return section("Failed", table(["run", "reason"], [[tag("code", name), reason] for name, reason in lost]))


def _extra(extra: Sequence[tuple[str, Drawing]]) -> Html | None:
    if not extra:
        return None
    return section("Search", tag("div", *(figure(_at_home(drawing), title) for title, drawing in extra), class_="row"))


def _at_home(drawing: Mapping[str, Any]) -> Drawing:
    """A foreign figure without its own ground, title and size, as the page has them."""
    layout = {
        key: value for key, value in drawing.get("layout", {}).items() if key not in ("template", "title", "width")
    }
    margin = {"l": 64, "r": 14, "t": 12, "b": 48}
    axes = {key: value | {"automargin": True} for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))}
    plain = {"data": list(drawing.get("data", ())), "layout": layout | axes | {"margin": margin, "height": 340}}
    return dict(_finite(plain))


def _finite(value: Any) -> Any:
    """Numbers that JSON has no word for become null."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
