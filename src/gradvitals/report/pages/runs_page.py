"""The page of several runs: which is best, what is wrong with the others, and how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from gradvitals.diagnosis.outcome import HEALTHY, UNDECIDED
from gradvitals.formatting import counts, number
from gradvitals.report.pages import phrases
from gradvitals.report.pages.comparison import Compared, compare, differences
from gradvitals.report.pages.figures import HOW_TO_READ, run_curves, run_profiles
from gradvitals.report.pages.heat_maps import MOST_COLUMNS, by_layer_and_step
from gradvitals.report.pages.page import Html, document, figure, join, note, paragraph, row, section, table, tag
from gradvitals.report.pages.run_sections import GRADIENT, measured
from gradvitals.results.curves import ByLayer, Curves, read_curves
from gradvitals.results.record import Record
from gradvitals.results.status import Status

FEW = 12  # runs that are shown at first
MOST_KEYS = 24  # that differ
WANTED = ("train/", "val/", f"{GRADIENT}/")
DRAWN = {  # tag -> title and axis
    "train/loss": ("Training loss", "loss"),
    "train/acc": ("Training accuracy", "accuracy"),
    "val/loss": ("Validation loss", "loss"),
    "val/acc": ("Validation accuracy", "accuracy"),
    "val/r2": ("Validation R²", "R²"),
}
DIFFERENT = "These runs were made by different versions or commits, which may be why they differ."
POINTS, CELLS = 40_000, 400_000  # of all curves of a metric, and of all heat maps: so that 200 runs stay below 10 MB


def runs_page(
    records: Sequence[Record],
    with_remedy: phrases.WithRemedy,
    track: Callable[[Iterable[Record]], Iterable[Record]] = iter,
    folder: Path | None = None,
) -> str:
    """Returns the page of any set of runs, complete in one file.

    Args:
        with_remedy: see :func:`gradvitals.report.pages.run_page.run_page`.
        track: wraps them while their curves are read, to show progress.
        folder: where the page will be, from which it links to the page of each run; None: it has no links.

    Raises:
        ValueError: no run.

    Example:
        >>> from pathlib import Path
        >>> page = runs_page([Record(Path("a")), Record(Path("b"))], lambda typed, remedy: [*typed, *remedy])
        >>> "2 runs" in page
        True
    """
    if not records:
        raise ValueError("runs_page: expected at least one run; got none")
    found = compare(records)
    curves = [read_curves(record.folder, WANTED) for record in track(found.records)]
    by_layer = [measured(*run, GRADIENT) for run in zip(found.records, curves, strict=True)]
    sections = [
        _runs(found, folder),
        _to_do(found, with_remedy),
        _curves(found, curves),
        _gradients(found, by_layer),
        _heat_maps(found, by_layer),
        _differences(found),
        _environments(found),
    ]
    return document(f"{len(records)} runs", _header(found), sections)


def _header(found: Compared) -> list[Html]:
    statuses = Counter(str(record.status) for record in found.records)
    verdicts = Counter(map(phrases.verdict_name, found.records))
    lines = [tag("p", f"{len(found.records)} runs: {counts(statuses)}", class_="over"), *_best(found)]
    lines.append(paragraph(f"Verdicts: {counts(verdicts)}."))
    if found.common:
        lines.append(paragraph("Overrides of all of them: ", tag("code", " ".join(found.common))))
    return lines


def _best(found: Compared) -> list[Html]:
    best = found.records[0]
    value = best.metric(found.objective.tag) if found.objective and best.status.counts else None
    if value is None:
        return [tag("h1", "No run has a result")]
    return [tag("h1", f"Best {found.objective}: {number(value)}"), tag("p", tag("code", found.names[0]), class_="lede")]


def _runs(found: Compared, folder: Path | None) -> Html:
    metrics = list(dict.fromkeys([*([found.objective.tag] if found.objective else []), "val/loss"]))
    ends: list[tuple[str, Literal["best", "final"]]] = [
        (metric, end) for metric in metrics for end in ("best", "final")
    ]
    head = ["shown", "#", "run", "status", "verdict", *map(", ".join, ends), "gain per layer", "steps", "seconds"]
    rows = [
        [_box(place), place + 1, _linked(name, record, folder), phrases.status(record), phrases.verdict(record)]
        + [record.metric(metric, end) for metric, end in ends]
        + [record.vitals.get("gain_per_layer"), record.result.steps, record.result.seconds]
        for place, (name, record) in enumerate(zip(found.names, found.records, strict=True))
    ]
    caption = "Best first; a click on a heading sorts. The boxes choose which runs the figures show."
    return section("Runs", _bar(len(rows)), table(head, rows, caption=caption, sortable=True))


def _linked(name: str, record: Record, folder: Path | None) -> Html:
    address = phrases.page_of(record, folder)
    words = tag("code", name)
    return words if address is None else tag("a", words, href=address)


def _box(place: int) -> Html:
    checked = "checked" if place < FEW else None
    return tag("input", type="checkbox", data_run=place, checked=checked, aria_label="show in the figures")


def _bar(count: int) -> Html:
    example = "find runs, such as relu seed=1"
    search = tag("input", type="search", id="search", placeholder=example, aria_label="find runs")
    firsts = [(FEW, f"best {FEW}")] if count > FEW else []
    buttons = (tag("button", name, type="button", data_first=n) for n, name in [*firsts, (count, "all"), (0, "none")])
    return tag("div", search, *buttons, tag("span", id="chosen", class_="muted"), class_="bar")


def _to_do(found: Compared, with_remedy: phrases.WithRemedy) -> Html | None:
    others: dict[str, list[int]] = {}
    for place, record in enumerate(found.records):
        if record.verdict and record.verdict != HEALTHY:
            others.setdefault(record.verdict, []).append(place)
    if not others:
        return None
    rows = [_remedy(found, verdict, places, with_remedy) for verdict, places in others.items()]
    return section("What to do", table(["verdict", "runs", "evidence in the best of them", "first remedy"], rows))


def _remedy(found: Compared, verdict: str, places: Sequence[int], with_remedy: phrases.WithRemedy) -> list[object]:
    record = found.records[places[0]]
    first = next(iter(record.vitals.get("remedies") or []), None)
    evidence = tag("span", phrases.outcome(record) or "-", class_="prose")
    command = phrases.remedy_command(record, first, with_remedy) if first else None
    if verdict == UNDECIDED:
        command = phrases.longer_command(record)
    return [phrases.mark(phrases.look_of([verdict]), verdict), len(places), evidence, command and tag("code", command)]


def _curves(found: Compared, curves: Sequence[Curves]) -> Html:
    most = max(min(POINTS // len(curves), 300), 40)
    drawn = []
    for wanted, (title, axis) in DRAWN.items():
        named = [(name, each.get(wanted, [])) for name, each in zip(found.names, curves, strict=True)]
        if any(len(points) > 1 for _, points in named):
            drawn.append(figure(run_curves(named, axis, most), title))
    return section("Curves", row(drawn) if drawn else note("There are no curves: no logger wrote files (logger=none)."))


def _gradients(found: Compared, by_layer: Sequence[ByLayer]) -> Html:
    profiles = [(name, each.values[0] if each.values else []) for name, each in zip(found.names, by_layer, strict=True)]
    if not any(norms for _, norms in profiles):
        return section("Gradient by layer", note("Not measured in any run (monitor=off)."))
    how = f"At the first measured step. {HOW_TO_READ}"
    return section("Gradient by layer", figure(run_profiles(profiles), "dL/dh by layer", how))


def _heat_maps(found: Compared, by_layer: Sequence[ByLayer]) -> Html | None:
    tables = [(name, each) for name, each in zip(found.names, by_layer, strict=True) if len(each.steps) > 1]
    if not tables:
        return None
    deepest = max(len(each.layers) for _, each in tables)
    columns = max(min(CELLS // (deepest * len(tables)), MOST_COLUMNS), 12)
    shown = tables[: CELLS // (deepest * columns)]
    less = f" The best {len(shown)} of {len(tables)} runs, to keep this file small." if len(shown) < len(tables) else ""
    drawing = by_layer_and_step([each for _, each in shown], columns)
    how = f"Measured steps of the selected run. Grey: zero, or not measured.{less}"
    drawn = figure(drawing, "dL/dh by layer and step", how, [name for name, _ in shown])
    return section("Gradient by layer and step", drawn)


def _differences(found: Compared) -> Html:
    differ = differences(found.records)
    if not differ:
        return section("Config differences", note("The configs are the same."))
    keys, others = list(differ)[:MOST_KEYS], list(differ)[MOST_KEYS:]
    rows = [
        [tag("code", name), *(_value(differ[key][place]) for key in keys)] for place, name in enumerate(found.names)
    ]
    more = note(f"Also different: {', '.join(others)}.") if others else Html()
    caption = "The keys in which the composed configs differ."
    return section("Config differences", table(["run", *keys], rows, caption=caption, sortable=True), more)


def _value(value: str | None) -> Html | None:
    return None if value is None else tag("code", value, class_="key")


def _environments(found: Compared) -> Html:
    groups: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for name, record in zip(found.names, found.records, strict=True):
        if record.status is not Status.MISSING:
            known = {"commit": record.result.git, **record.result.versions}
            groups.setdefault(tuple(known.items()), []).append(name)
    if not groups:
        return section("Environment", note("Not known: no run has a result, which records the versions."))
    keys = list(dict.fromkeys(key for group in groups for key, _ in group))
    values = [[dict(group).get(key) for key in keys] for group in groups]
    if len(groups) == 1:
        return section("Environment", note("The same for all runs."), table(keys, values))
    rows = [[len(names), *known, _some(names)] for names, known in zip(groups.values(), values, strict=True)]
    return section("Environment", paragraph(phrases.mark("bad", DIFFERENT)), table(["runs", *keys, "which"], rows))


def _some(names: Sequence[str]) -> Html:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return join([tag("code", ", ".join(names[:3])), more])
