"""The page of a sweep: the answer, then what each key does, and what failed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gradvitals.formatting import counted, counts, number, typed
from gradvitals.report.pages import phrases
from gradvitals.report.pages.figures import dots, integer_ticks
from gradvitals.report.pages.heat_maps import Grid, grids
from gradvitals.report.pages.page import (
    Drawing,
    Html,
    command,
    document,
    figure,
    join,
    note,
    picture,
    row,
    section,
    table,
    tag,
)
from gradvitals.report.tables.sweep import DEFAULT, averaged, failures, mean_std, not_ended, objectives, on_folds
from gradvitals.results.aggregate import REPLICATES, Configuration, MeanStd, Sweep, shows_trainable, typed_settings
from gradvitals.results.files import finite
from gradvitals.results.record import Record

MOST_VALUES = 30  # of a key that has a figure; more of them were drawn at random, such as learning rates


def sweep_page(
    sweep: Sweep,
    extra_figures: Sequence[tuple[str, Drawing]] = (),
    gradients: bytes | None = None,
    folder: Path | None = None,
) -> str:
    """Returns the page of a sweep, complete in one file.

    Args:
        sweep: from :func:`gradvitals.results.aggregate.fold`.
        extra_figures: title and Plotly figure of other tools, such as Optuna.
        gradients: the PNG of :func:`gradvitals.report.pictures.small_multiples.small_multiples`; None: there is none.
        folder: where the page will be, from which it links to the page of each run; None: it has no links.

    Example:
        >>> from gradvitals.results.aggregate import fold
        >>> "No configuration has a result" in sweep_page(fold([]))
        True
    """
    sections = [
        _table(sweep, folder),
        _effects(sweep),
        _interactions(sweep),
        _extra(extra_figures),
        _gradients(sweep, gradients),
        _failed(sweep),
    ]
    return document(f"Sweep of {len(sweep.rows)} configurations", _header(sweep), sections)


def _header(sweep: Sweep) -> list[Html]:
    replicates = ", ".join(f"{count} {name}{'s' * (count != 1)}" for name, count in sweep.replicates.items())
    size = f"{len(sweep.runs)} runs of {len(sweep.rows)} configurations, {replicates}"
    over = tag("p", f"{size}: {counts(sweep.statuses)}", class_="over")
    best = sweep.best
    if best is None:
        return [over, tag("h1", "No configuration has a result")]
    runs = "1 run" if best.objective.n == 1 else f"mean ± std of {best.objective.n} runs"
    return [
        over,
        tag("h1", f"Best {sweep.objective}: {mean_std(best.objective)}"),
        tag("p", tag("code", best.name), f", {runs}{on_folds(best, sweep)}", class_="lede"),
        command(typed("train", phrases.alone(best.ended[0]))),
    ]


def _table(sweep: Sweep, folder: Path | None) -> Html:
    own = sweep.objective != sweep.metric
    metrics = [*([str(sweep.objective)] if own else []), f"{sweep.metric}, best", f"{sweep.metric}, final"]
    metrics += [f"{sweep.tested}"] if sweep.tested else []
    with_std = [title for name in metrics for title in (name, "std")]
    head = ["#", *sweep.keys, *with_std, "ended", "verdicts", "gain per layer", "seconds"]
    rows = [[place, *_row(row, sweep, own)] for place, row in enumerate(sweep.rows, 1)]
    if shows_trainable(sweep):
        head.append("trainable depth, by theory")
        rows = [[*cells, row.trainable.mean] for cells, row in zip(rows, sweep.rows, strict=True)]
    links = [_links(row, folder) for row in sweep.rows]
    if any(links):
        head.append("runs")
        rows = [[*cells, link or None] for cells, link in zip(rows, links, strict=True)]
    over = " and ".join(f"{name}s" for name in sweep.replicates)
    caption = f"Best first; a click on a heading sorts. Mean and standard deviation are over the {over} of ended runs."
    return section("Configurations", table(head, rows, caption=caption, sortable=True))


def _row(row: Configuration, sweep: Sweep, own: bool) -> list[object]:
    settings = [tag("code", row.settings.get(key, DEFAULT), class_="key") for key in sweep.keys]
    found = [*([row.objective] if own else []), row.best, row.final, *([row.tested] if sweep.tested else [])]
    numbers = [value for each in found for value in (each.mean, each.sd and float(f"{each.sd:.2g}"))]
    verdicts = phrases.mark(phrases.look_of(row.verdicts), counted(row.verdicts)) if row.verdicts else None
    return [*settings, *numbers, _ended(row), verdicts, row.gain.mean, row.seconds.mean]


def _links(row: Configuration, folder: Path | None) -> Html:
    found = ((run, phrases.page_of(run, folder)) for run in row.runs)
    return join((tag("a", _replicate(run), href=address) for run, address in found if address), ", ")


def _replicate(run: Record) -> str:
    """Which run of its configuration it is."""
    settings = typed_settings(run.overrides)
    known = [f"{name} {settings[key]}" for key, name in REPLICATES.items() if key in settings]
    return " ".join(known) or "page"


def _ended(row: Configuration) -> Html:
    others = not_ended(row)
    rest = f": {counts(others)}" if others else ""
    return tag("span", f"{len(row.ended)} of {len(row.runs)}{rest}", class_="marked")


def _effects(sweep: Sweep) -> Html | None:
    found = {key: effects for key, effects in averaged(sweep).items() if _comparable(effects)}
    if not found:
        return None
    limits = _limits(sweep, found)
    drawn = [figure(_dots(key, effects, sweep, limits), key, _difference(effects)) for key, effects in found.items()]
    shown = "a circle for each run that ended, a diamond for the mean over all other keys"
    how = note(f"{sweep.objective} by the value of each key: {shown}.")
    return section("What each key does", how, row(drawn))


def _comparable(effects: Mapping[str, MeanStd]) -> bool:
    return len(effects) <= MOST_VALUES and sum(each.n > 0 for each in effects.values()) > 1


def _dots(key: str, effects: Mapping[str, MeanStd], sweep: Sweep, limits: list[float]) -> Drawing:
    rows = [(value or DEFAULT, each.mean, objectives(sweep, key, value)) for value, each in effects.items()]
    return dots(rows, str(sweep.objective), limits)


def _limits(sweep: Sweep, effects: Mapping[str, Mapping[str, MeanStd]]) -> list[float]:
    """Ends of the axis of all figures, so that they compare."""
    known = [each for key, values in effects.items() for value in values for each in objectives(sweep, key, value)]
    low, high = min(known), max(known)
    room = 0.05 * ((high - low) or 1.0)
    return [low - room, high + room]


def _difference(effects: Mapping[str, MeanStd]) -> str:
    known = [each.mean for each in effects.values() if each.mean is not None]
    return f"The means of the best and the worst value differ by {number(max(known) - min(known), 3)}."


def _interactions(sweep: Sweep) -> Html | None:
    pairs = [pair for pair in sweep.interactions if all(_comparable(sweep.effects[key]) for key in pair)]
    if not pairs:
        return None
    drawing = grids([_grid(sweep, *pair) for pair in pairs], str(sweep.objective), sweep.lower_is_better)
    how = f"Mean {sweep.objective} over all other keys; bright is better. Grey: no run ended there."
    return section("Two keys together", figure(drawing, "Pairs of keys", how, [f"{a} and {b}" for a, b in pairs]))


def _grid(sweep: Sweep, a: str, b: str) -> Grid:
    cells, rows, columns = sweep.interactions[a, b], list(sweep.effects[a]), list(sweep.effects[b])
    values = [[cells[x, y].mean for y in columns] for x in rows]
    return Grid(_settings(a, rows), _settings(b, columns), values)


def _settings(key: str, values: Sequence[str]) -> list[str]:
    return [f"{key}={value}" if value else f"{key}: default" for value in values]


def _gradients(sweep: Sweep, png: bytes | None) -> Html | None:
    if not any(norm for run in sweep.runs for norm in run.gradients("start")):
        return section("Gradient by layer", note("Not measured in any run (monitor=off)."))
    if png is None:
        return None
    description = "L2 norm of dL/dh by layer of each configuration, at the first and the last measured step"
    return section("Gradient by layer", tag("div", picture(png, description), class_="scroll", tabindex=0))


def _failed(sweep: Sweep) -> Html | None:
    rows = [[tag("code", name), reason] for name, reason in failures(sweep)]
    return section("Failed", table(["run", "reason"], rows)) if rows else None


def _extra(extra: Sequence[tuple[str, Drawing]]) -> Html | None:
    return section("Search", row(figure(_restyled(drawing), title) for title, drawing in extra)) if extra else None


def _restyled(drawing: Mapping[str, Any]) -> Drawing:
    """A figure of another tool without its own background, title and size."""
    foreign = ("template", "title", "width")
    layout = {key: value for key, value in drawing.get("layout", {}).items() if key not in foreign}
    margin = {"l": 64, "r": 14, "t": 12, "b": 48}
    axes = {key: value | {"automargin": True} for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))}
    data = [_with_integer_ticks(trace) for trace in drawing.get("data", ())]
    if "xaxis" in axes and all("x" in trace for trace in data):
        axes["xaxis"] |= integer_ticks(x for trace in data for x in trace["x"])
    plain = {"data": data, "layout": layout | axes | {"margin": margin, "height": 340}}
    return dict(finite(plain))


def _with_integer_ticks(trace: Mapping[str, Any]) -> Mapping[str, Any]:
    """A trace of parallel coordinates whose axes of few integers have a tick at each; any other one as it is."""
    if "dimensions" not in trace:
        return trace
    return dict(trace) | {"dimensions": [_integers(each) | dict(each) for each in trace["dimensions"]]}


def _integers(dimension: Mapping[str, Any]) -> dict[str, Any]:
    values = dimension.get("values", ())
    return {"tickvals": sorted(set(values))} if integer_ticks(values) else {}
