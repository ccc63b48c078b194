"""The page of several runs: which is best, what is wrong with the others, and how they differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradvitals.formatting import counts
from gradvitals.report.pages import figures
from gradvitals.report.pages import phrases as words
from gradvitals.report.pages.comparison import Compared, compare, differences
from gradvitals.report.pages.page import Html, document, figure, join, note, paragraph, section, show, table, tag
from gradvitals.report.pages.sweep_figures import profiles, run_curves
from gradvitals.results.curves import Curves, by_layer, read_curves
from gradvitals.results.record import Record
from gradvitals.results.status import Status

FEW = 12  # runs that are shown at first
MOST_COLUMNS = 24  # keys that differ
WANTED = ("train/", "val/", "activation_grad_norm/")
DRAWN = {"train/loss": "Training loss", "val/loss": "Validation loss", "val/acc": "Validation accuracy", "val/r2": "R²"}
AXES = {"train/loss": "loss", "val/loss": "loss", "val/acc": "accuracy", "val/r2": "R²"}
POINTS, CELLS = 40_000, 400_000  # of all curves of a metric, and of all heat maps: what keeps 200 runs below 10 MB


def runs_page(
    records: Sequence[Record],
    with_remedy: words.WithRemedy,
    track: Callable[[Iterable[Record]], Iterable[Record]] = iter,
) -> str:
    """Returns the page of any set of runs, complete in one file.

    Args:
        records: the runs, in any order.
        with_remedy: see :func:`gradvitals.report.pages.run_page.run_page`.
        track: wraps them while their curves are read, to show progress.

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
    parts = [
        _runs(found),
        _to_do(found, with_remedy),
        _curves(found, curves),
        _gradients(found, curves),
        _heat_maps(found, curves),
    ]
    sections = [*parts, _heat_maps(found, curves), _differences(found), _environments(found)]
    return document(f"{len(records)} runs", _header(found), [part for part in sections if part])


def _header(found: Compared) -> list[Html]:
    statuses = Counter(str(record.status) for record in found.records)
    verdicts = Counter(record.verdict or "not watched" for record in found.records)
    lines = [tag("p", f"{len(found.records)} runs: {counts(statuses)}", class_="over"), *_best(found)]
    lines.append(paragraph(f"Verdicts: {counts(verdicts)}."))
    if found.common:
        lines.append(paragraph("All of them: ", tag("code", " ".join(found.common))))
    return lines


def _best(found: Compared) -> list[Html]:
    best = found.records[0]
    value = best.metric(found.objective.tag) if found.objective and best.status.counts else None
    if value is None:
        return [tag("h1", "No run has come to a number")]
    return [tag("h1", f"Best {found.objective}: {show(value)}"), tag("p", tag("code", found.names[0]), class_="lede")]


def _runs(found: Compared) -> Html:
    metrics = list(dict.fromkeys([*([found.objective.tag] if found.objective else []), "val/loss"]))
    head = [
        "shown",
        "#",
        "run",
        "status",
        "verdict",
        *(f"{tag_}, {end}" for tag_ in metrics for end in ("best", "final")),
    ]
    rows = [
        [_box(place), place + 1, tag("code", name), words.status(record), words.verdict(record)]
        + [record.metric(tag_, end) for tag_ in metrics for end in ("best", "final")]
        + [record.vitals.get("gain_per_layer"), record.result.steps, record.seconds]
        for place, (name, record) in enumerate(zip(found.names, found.records, strict=True))
    ]
    caption = "Best first; a click on a heading sorts. The boxes choose which runs the figures show."
    whole = table([*head, "gain per layer", "steps", "seconds"], rows, caption=caption, sortable=True)
    return section("Runs", _bar(len(rows)), whole)


def _box(place: int) -> Html:
    checked = "checked" if place < FEW else None
    return tag("input", type="checkbox", data_run=place, checked=checked, aria_label="show in the figures")


def _bar(count: int) -> Html:
    """What chooses runs."""
    search = tag(
        "input", type="search", id="search", placeholder="find runs, such as relu seed=1", aria_label="find runs"
    )
    firsts = [(FEW, f"best {FEW}")] if count > FEW else []
    buttons = (tag("button", name, type="button", data_first=n) for n, name in [*firsts, (count, "all"), (0, "none")])
    return tag("div", search, *buttons, tag("span", id="chosen", class_="muted"), class_="bar")


def _to_do(found: Compared, with_remedy: words.WithRemedy) -> Html | None:
    """For each verdict that is not healthy the first remedy."""
    sick: dict[str, list[int]] = {}
    for place, record in enumerate(found.records):
        if record.verdict and record.verdict != words.HEALTHY:
            sick.setdefault(record.verdict, []).append(place)
    if not sick:
        return None
    rows = [_remedy(found, verdict, places, with_remedy) for verdict, places in sick.items()]
    return section("What to do", table(["verdict", "runs", "evidence in the best of them", "first remedy"], rows))


def _remedy(found: Compared, verdict: str, places: Sequence[int], with_remedy: words.WithRemedy) -> list[object]:
    record = found.records[places[0]]
    first = next(iter(record.vitals.get("remedies") or []), None)
    evidence = next((finding.get("evidence") for finding in record.vitals.get("findings") or []), None)
    typed = tag("code", words.remedy_command(record, first, with_remedy)) if first else None
    return [words.mark(False, verdict), len(places), evidence, typed]


def _curves(found: Compared, curves: Sequence[Curves]) -> Html:
    most = max(min(POINTS // len(curves), 300), 40)
    drawn = [
        figure(run_curves(named, AXES[tag_], log=False, most=most), title)
        for tag_, title in DRAWN.items()
        if any(named := [(name, each.get(tag_, [])) for name, each in zip(found.names, curves, strict=True)])
        and any(len(points) > 1 for _, points in named)
    ]
    return section("Curves", tag("div", *drawn, class_="row") if drawn else note("No run left curves (logger=none)."))


def _gradients(found: Compared, curves: Sequence[Curves]) -> Html:
    runs = [
        (name, first_profile(record, each))
        for name, record, each in zip(found.names, found.records, curves, strict=True)
    ]
    if not any(norms for _, norms in runs):
        return section("Gradient by layer", note("Not measured in any run (monitor=off)."))
    how = "At the first measured step. Level is good; a slope to the left vanishes, one to the right explodes."
    return section("Gradient by layer", figure(profiles(runs), "dL/dh by layer", how))


def first_profile(record: Record, curves: Curves) -> list[float | None]:
    """dL/dh by layer at the first measured step."""
    layers = record.vitals.get("layers") or []
    if layers:
        return [(layer.get("activation_grad_norm") or {}).get("start") for layer in layers]
    found = by_layer(curves, "activation_grad_norm")
    return found.values[0] if found.values else []


def _heat_maps(found: Compared, curves: Sequence[Curves]) -> Html | None:
    tables = [(name, by_layer(each, "activation_grad_norm")) for name, each in zip(found.names, curves, strict=True)]
    tables = [(name, each) for name, each in tables if len(each.steps) > 1]
    if not tables:
        return None
    deepest = max(len(each.layers) for _, each in tables)
    columns = max(min(CELLS // (deepest * len(tables)), figures.MOST_COLUMNS), 12)
    shown = tables[: CELLS // (deepest * columns)]
    left = (
        "" if len(shown) == len(tables) else f" The best {len(shown)} of {len(tables)} runs, to keep this file small."
    )
    drawing = figures.heat_maps([each for _, each in shown], columns)
    how = f"Measured steps of the selected run. Grey: zero, or not measured.{left}"
    return section("Gradient by layer and step", figure(drawing, "dL/dh", how, [name for name, _ in shown]))


def _differences(found: Compared) -> Html:
    differ = differences(found.records)
    if not differ:
        return section("Config differences", note("The configs are the same."))
    keys = list(differ)[:MOST_COLUMNS]
    rows = [
        [
            tag("code", name),
            *(None if differ[key][place] is None else tag("code", differ[key][place], class_="key") for key in keys),
        ]
        for place, name in enumerate(found.names)
    ]
    more = note(f"And in {', '.join(list(differ)[MOST_COLUMNS:])}.") if len(differ) > MOST_COLUMNS else Html()
    caption = "Only keys in which the composed configs differ."
    return section("Config differences", table(["run", *keys], rows, caption=caption, sortable=True), more)


def _environments(found: Compared) -> Html:
    """Versions and commit, the same ones once."""
    groups: dict[tuple[tuple[str, Any], ...], list[str]] = {}
    for name, record in zip(found.names, found.records, strict=True):
        if record.status is Status.MISSING:
            continue  # what left no result says nothing of where it ran
        known = {"commit": record.result.git, **record.result.versions}
        groups.setdefault(tuple(known.items()), []).append(name)
    if not groups:
        return section("Environment", note("No run left a result, which says where it ran."))
    keys = list(dict.fromkeys(key for group in groups for key, _ in group))
    rows = [[len(names), *(dict(group).get(key) for key in keys), _some(names)] for group, names in groups.items()]
    if len(groups) > 1:
        return section("Environment", paragraph(words.mark(False, DIFFERENT)), table(["runs", *keys, "which"], rows))
    return section("Environment", note("The same for all runs."), table(keys, [row[1:-1] for row in rows]))


DIFFERENT = "These runs were made by different versions or commits: differences between them may come from there."


def _some(names: Sequence[str]) -> Html:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return join([tag("code", ", ".join(names[:3])), more])
