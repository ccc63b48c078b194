"""A sweep as a table: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from gradvitals.formatting import counted, counts, markdown_text, number, spreadsheet_text
from gradvitals.report.tables.columns import aligned
from gradvitals.results.aggregate import Configuration, MeanStd, Sweep, shows_trainable
from gradvitals.results.status import Status

MOST = 40  # rows in the terminal
DEFAULT = "(default)"  # of a key that a configuration does not set


def text(sweep: Sweep) -> str:
    """Returns the table and each key's effect, in aligned columns; long sweeps are cut, the files contain all rows."""
    titles, rows = table_cells(sweep)
    lines = aligned([titles, *rows[:MOST]], left=range(len(sweep.keys)))
    if len(rows) > MOST:
        lines.append(f"… and {len(rows) - MOST} more")
    return "\n".join([*lines, *averaged_lines(sweep)])


def averaged_lines(sweep: Sweep) -> list[str]:
    """Returns each key's effect, on a line for each."""
    lines = []
    for key, effects in averaged(sweep).items():
        parts = (f"{value or DEFAULT} {number(each.mean)}" for value, each in effects.items())
        lines.append(f"{key}, mean over the rest: {'  '.join(parts)}")
    return lines


def markdown(sweep: Sweep) -> str:
    """Returns the best configuration, the table, each key's effect and what failed."""
    titles, rows = table_cells(sweep)
    parts = ["# Sweep", markdown_text(answer(sweep)), _escaped_table(titles, rows)]
    for key, effects in averaged(sweep).items():
        parts.append(f"## `{markdown_text(key)}`: mean over the rest")
        cells = [[value or DEFAULT, *_effect(sweep, key, value), str(each.n)] for value, each in effects.items()]
        parts.append(_escaped_table([key, str(sweep.objective), "lowest", "highest", "configurations"], cells))
    if reasons := failures(sweep):
        parts += ["## Failed", _escaped_table(["job", "reason"], [[name, reason] for name, reason in reasons])]
    return "\n\n".join([*parts, "![Gradient by layer of each configuration](sweep.png)"]) + "\n"


def objectives(sweep: Sweep, key: str, value: str) -> list[float]:
    """Returns the objective of every run that has a value of a key, as far as it ended with one."""
    runs = (run for row in sweep.rows if row.settings.get(key, "") == value for run in row.ended)
    found = (run.metric(sweep.objective.tag) if sweep.objective else None for run in runs)
    return [each for each in found if each is not None and math.isfinite(each)]


def _effect(sweep: Sweep, key: str, value: str) -> list[str]:
    """Not its standard deviation: one of accuracies that are near 0.1 and near 1 reaches beyond 1."""
    known = objectives(sweep, key, value)
    return [
        number(each) for each in (sweep.effects[key][value].mean, min(known, default=None), max(known, default=None))
    ]


def averaged(sweep: Sweep) -> dict[str, dict[str, MeanStd]]:
    """Returns the effects of keys whose values several configurations share; others add nothing to the table."""
    return {key: found for key, found in sweep.effects.items() if any(each.n > 1 for each in found.values())}


def answer(sweep: Sweep) -> str:
    """Returns one or two sentences: the best configuration, and how many runs ended how."""
    ran = f"{len(sweep.runs)} runs of {len(sweep.rows)} configurations: {counts(sweep.statuses)}."
    best = sweep.best
    if best is None:
        return f"No configuration has a result. {ran}"
    return f"Best: {best.name}, {sweep.objective} {mean_std(best.objective)}{on_folds(best, sweep)}. {ran}"


def on_folds(row: Configuration, sweep: Sweep) -> str:
    """Returns the mean over the tested folds, to be appended; empty where there are none."""
    return f"; {sweep.tested} {mean_std(row.tested)} over {sweep.replicates['fold']} folds" if sweep.tested else ""


def failures(sweep: Sweep) -> list[tuple[str, str]]:
    """Returns the overrides and the reason of each run that failed, was interrupted, or has no result."""
    lost = [run for run in sweep.runs if not run.status.is_over]
    return [(" ".join(run.overrides), run.result.reason or str(run.status)) for run in lost]


def as_csv(sweep: Sweep) -> str:
    """Returns one row for each configuration; text that a spreadsheet would take for a formula is quoted."""
    rows = numbers(sweep)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    table: list[list[object]] = [[*rows[0]] if rows else [], *([*row.values()] for row in rows)]
    writer.writerows([spreadsheet_text(value) for value in cells] for cells in table)
    return stream.getvalue()


def numbers(sweep: Sweep) -> list[dict[str, Any]]:
    """Returns a row of columns and values for each configuration, the best first."""
    return [_numbers(rank, row, sweep) for rank, row in enumerate(sweep.rows, start=1)]


def _numbers(rank: int, row: Configuration, sweep: Sweep) -> dict[str, Any]:
    settings = {key: row.settings.get(key, "") for key in sweep.keys}
    statuses = {status: row.statuses[status] for status in ("diverged", "failed", "interrupted", "missing")}
    found: dict[str, Any] = {"rank": rank, **settings, "runs": len(row.runs), "ended": len(row.ended), **statuses}
    measured = {
        f"{sweep.objective} objective": row.objective,
        f"{sweep.metric} best": row.best,
        f"{sweep.metric} final": row.final,
        **({f"{sweep.tested} final": row.tested} if sweep.tested else {}),
        "gain per layer": row.gain,
        "seconds": row.seconds,
        "trainable depth": row.trainable,
    }
    for name, each in measured.items():
        found |= {f"{name} mean": each.mean, f"{name} sd": each.sd}
    return found | {"verdicts": counted(row.verdicts)}


def table_cells(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Returns the headings of the table, and its rows, the best configuration first."""
    own = sweep.objective != sweep.metric  # the objective is not the metric that is shown anyway
    titles = [*sweep.keys, *([f"{sweep.objective}"] if own else []), f"{sweep.metric}", "final"]
    titles += [*([f"{sweep.tested}"] if sweep.tested else []), "ended", "verdict", "gain/layer", "seconds"]
    rows = [_row(row, sweep, own) for row in sweep.rows]
    if shows_trainable(sweep):
        titles.append("trainable")
        rows = [[*cells, number(row.trainable.mean)] for cells, row in zip(rows, sweep.rows, strict=True)]
    return titles, rows


def _row(row: Configuration, sweep: Sweep, own: bool) -> list[str]:
    settings = [row.settings.get(key, "") for key in sweep.keys]
    metrics = [*([row.objective] if own else []), row.best, row.final, *([row.tested] if sweep.tested else [])]
    others = not_ended(row)
    ended = f"{len(row.ended)}/{len(row.runs)}" + (f" ({counted(others)})" if others else "")
    tail = [counted(row.verdicts) or "-", number(row.gain.mean), number(row.seconds.mean)]
    return [*settings, *map(mean_std, metrics), ended, *tail]


def not_ended(row: Configuration) -> Counter[str]:
    """Returns the statuses of a configuration's runs that do not count."""
    return Counter({status: count for status, count in row.statuses.items() if not Status(status).counts})


def mean_std(found: MeanStd) -> str:
    """Returns mean and standard deviation; the mean alone where only one number is known.

    Example:
        >>> mean_std(MeanStd.of([1.0, 3.0]))
        '2 ± 1.4'
    """
    return number(found.mean) + (f" ± {number(found.sd, 2)}" if found.sd is not None else "")


def _escaped_table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [map(markdown_text, titles), ["---"] * len(titles), *(map(markdown_text, row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
