"""The page of a sweep: the answer, then what each key does, and what failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gradvitals.formatting import counted, counts, number, train_command
from gradvitals.report.pages import phrases
from gradvitals.report.pages.figures import means
from gradvitals.report.pages.heat_maps import Grid, grids
from gradvitals.report.pages.page import (
    Drawing,
    Html,
    command,
    document,
    figure,
    note,
    picture,
    row,
    section,
    table,
    tag,
)
from gradvitals.report.tables.sweep import DEFAULT, averaged, failures, mean_std, not_ended, on_folds
from gradvitals.results.aggregate import Configuration, MeanStd, Sweep, shows_trainable

MOST_VALUES = 30  # of a key that has a figure; more of them were drawn at random, such as learning rates


def sweep_page(sweep: Sweep, extra_figures: Sequence[tuple[str, Drawing]] = (), gradients: bytes | None = None) -> str:
    """Returns the page of a sweep, complete in one file.

    Args:
        sweep: from :func:`gradvitals.results.aggregate.fold`.
        extra_figures: title and Plotly figure of other tools, such as Optuna.
        gradients: the PNG of :func:`gradvitals.report.pictures.small_multiples.small_multiples`; None: there is none.

    Example:
        >>> from gradvitals.results.aggregate import fold
        >>> "No configuration has a result" in sweep_page(fold([]))
        True
    """
    sections = [
        _table(sweep),
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
    best = next((row for row in sweep.rows if row.objective.n), None)
    if best is None or sweep.objective is None:
        return [over, tag("h1", "No configuration has a result")]
    runs = "1 run" if best.objective.n == 1 else f"mean ± std of {best.objective.n} runs"
    return [
        over,
        tag("h1", f"Best {sweep.objective}: {mean_std(best.objective)}"),
        tag("p", tag("code", best.name), f", {runs}{on_folds(best, sweep)}", class_="lede"),
        command(train_command(phrases.alone(best.ended[0]))),
    ]


def _table(sweep: Sweep) -> Html:
    own = sweep.objective != sweep.metric
    metrics = [*([str(sweep.objective)] if own else []), f"{sweep.metric}, best", f"{sweep.metric}, final"]
    metrics += [f"{sweep.tested}"] if sweep.tested else []
    with_std = [title for name in metrics for title in (name, "std")]
    head = ["#", *sweep.keys, *with_std, "ended", "verdicts", "gain per layer", "seconds"]
    rows = [[place, *_row(row, sweep, own)] for place, row in enumerate(sweep.rows, 1)]
    if shows_trainable(sweep):
        head.append("trainable depth, by theory")
        rows = [[*cells, row.trainable.mean] for cells, row in zip(rows, sweep.rows, strict=True)]
    over = " and ".join(f"{name}s" for name in sweep.replicates)
    caption = f"Best first; a click on a heading sorts. Mean and standard deviation are over the {over} of ended runs."
    return section("Configurations", table(head, rows, caption=caption, sortable=True))


def _row(row: Configuration, sweep: Sweep, own: bool) -> list[object]:
    settings = [tag("code", row.settings.get(key, DEFAULT), class_="key") for key in sweep.keys]
    found = [*([row.objective] if own else []), row.best, row.final, *([row.tested] if sweep.tested else [])]
    numbers = [value for each in found for value in (each.mean, _rounded(each.sd))]
    verdicts = phrases.mark(phrases.look_of(row.verdicts), counted(row.verdicts)) if row.verdicts else None
    return [*settings, *numbers, _ended(row), verdicts, row.gain.mean, row.seconds.mean]


def _rounded(sd: float | None) -> float | None:
    return None if sd is None else float(f"{sd:.2g}")


def _ended(row: Configuration) -> Html:
    others = not_ended(row)
    rest = f": {counts(others)}" if others else ""
    return tag("span", f"{len(row.ended)} of {len(row.runs)}{rest}", class_="marked")


def _effects(sweep: Sweep) -> Html | None:
    found = {key: effects for key, effects in averaged(sweep).items() if _comparable(effects)}
    if not found:
        return None
    limits = _limits([each for effects in found.values() for each in effects.values()])
    drawn = [figure(_means(effects, sweep, limits), key, _difference(effects)) for key, effects in found.items()]
    how = note(f"{sweep.objective} by the value of each key: mean and standard deviation over all other keys.")
    return section("What each key does", how, row(drawn))


def _comparable(effects: Mapping[str, MeanStd]) -> bool:
    return len(effects) <= MOST_VALUES and sum(each.n > 0 for each in effects.values()) > 1


def _limits(found: Sequence[MeanStd]) -> list[float]:
    known = [(each.mean, each.sd or 0.0) for each in found if each.mean is not None]
    low, high = min(mean - sd for mean, sd in known), max(mean + sd for mean, sd in known)
    room = 0.05 * ((high - low) or 1.0)
    return [low - room, high + room]


def _means(effects: Mapping[str, MeanStd], sweep: Sweep, limits: list[float]) -> Drawing:
    rows = [(value or DEFAULT, each.mean, each.sd) for value, each in effects.items()]
    return means(rows, str(sweep.objective), limits)


def _difference(effects: Mapping[str, MeanStd]) -> str:
    known = [each.mean for each in effects.values() if each.mean is not None]
    return f"Best and worst value differ by {number(max(known) - min(known), 3)}."


def _interactions(sweep: Sweep) -> Html | None:
    pairs = [pair for pair in sweep.interactions if all(_comparable(sweep.effects[key]) for key in pair)]
    if not pairs:
        return None
    drawing = grids([_grid(sweep, *pair) for pair in pairs], str(sweep.objective), sweep.lower_is_better)
    how = f"Mean {sweep.objective} over all other keys; bright is better. Grey: no run ended there."
    return section("Two keys together", figure(drawing, "Pairs of keys", how, [f"{a} and {b}" for a, b in pairs]))


def _grid(sweep: Sweep, a: str, b: str) -> Grid:
    cells, rows, columns = sweep.interactions[a, b], list(sweep.effects[a]), list(sweep.effects[b])
    values = [[cells[x, y].mean if (x, y) in cells else None for y in columns] for x in rows]
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
    if not extra:
        return None
    return section("Search", row(figure(_restyled(drawing), title) for title, drawing in extra))


def _restyled(drawing: Mapping[str, Any]) -> Drawing:
    """A figure of another tool without its own background, title and size."""
    foreign = ("template", "title", "width")
    layout = {key: value for key, value in drawing.get("layout", {}).items() if key not in foreign}
    margin = {"l": 64, "r": 14, "t": 12, "b": 48}
    axes = {key: value | {"automargin": True} for key, value in layout.items() if key.startswith(("xaxis", "yaxis"))}
    plain = {"data": list(drawing.get("data", ())), "layout": layout | axes | {"margin": margin, "height": 340}}
    return dict(_finite(plain))


def _finite(value: Any) -> Any:
    """JSON cannot express numbers that are not finite."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
