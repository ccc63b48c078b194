"""A folded sweep as a table: for the terminal, as Markdown and as CSV."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence

from gradvitals.formatting import counted, markdown_text, number, spreadsheet_text
from gradvitals.results.aggregate import Configuration, MeanStd, Sweep, shows_trainable
from gradvitals.results.status import Status

LONGEST = 32  # characters of a cell in the terminal
MOST = 40  # rows in the terminal


def text(sweep: Sweep) -> str:
    """The table and each key's effect, in aligned columns; long sweeps are cut, the files hold all."""
    titles, rows = _cells(sweep)
    lines = aligned([titles, *rows[:MOST]], left=len(sweep.keys))
    if len(rows) > MOST:
        lines.append(f"… and {len(rows) - MOST} more")
    for key, effects in averaged(sweep).items():
        parts = (f"{value or '(default)'} {number(spread.mean)}" for value, spread in effects.items())
        lines.append(f"{key}, mean over the rest: {'  '.join(parts)}")
    return "\n".join(lines)


def aligned(rows: Sequence[Sequence[str]], left: int = 1) -> list[str]:
    """Rows of cells as lines; the first columns flush left, the others right.

    Example:
        >>> aligned([["act", "n"], ["relu", "12"]])
        ['act    n', 'relu  12']
    """
    short = [[cell if len(cell) <= LONGEST else cell[: LONGEST - 1] + "…" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*short, strict=True)]
    sides = ["<" if i < left else ">" for i in range(len(widths))]
    return [
        "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
        for row in short
    ]


def markdown(sweep: Sweep) -> str:
    """The answer, the table, each key's effect and what failed."""
    titles, rows = _cells(sweep)
    parts = ["# Sweep", markdown_text(answer(sweep)), _grid(titles, rows)]
    for key, effects in averaged(sweep).items():
        parts.append(f"## `{markdown_text(key)}`: mean over the rest")
        cells = [[v or "(default)", number(e.mean), number(e.sd), str(e.n)] for v, e in effects.items()]
        parts.append(_grid([key, str(sweep.objective), "sd", "configurations"], cells))
    if reasons := failures(sweep):
        parts += ["## Failed", _grid(["job", "reason"], [[name, reason] for name, reason in reasons])]
    return "\n\n".join([*parts, "![Gradient by layer of each configuration](sweep.png)"]) + "\n"


def averaged(sweep: Sweep) -> dict[str, dict[str, MeanStd]]:
    """The effects of keys whose values are shared by several configurations; others say no more than the table."""
    return {key: found for key, found in sweep.effects.items() if any(spread.n > 1 for spread in found.values())}


def answer(sweep: Sweep) -> str:
    """The sweep in a sentence or two."""
    counts = ", ".join(f"{n} {status}" for status, n in sweep.statuses.most_common())
    ran = f"{len(sweep.runs)} runs of {len(sweep.rows)} configurations: {counts}."
    best = next((row for row in sweep.rows if row.objective.n), None)
    if best is None or sweep.objective is None:
        return f"No configuration has a result. {ran}"
    return f"Best: {best.name}, {sweep.objective} {spread_words(best.objective)}. {ran}"


def failures(sweep: Sweep) -> list[tuple[str, str]]:
    """Of each run that failed or was lost: what it was, and why."""
    lost = [run for run in sweep.runs if not run.status.is_over]
    return [(" ".join(run.overrides), run.result.reason or str(run.status)) for run in lost]


def rows_as_numbers(sweep: Sweep) -> list[dict[str, str | int | float | None]]:
    """One dict for each configuration, numbers as they are."""
    return [_numbers(rank, row, sweep) for rank, row in enumerate(sweep.rows, start=1)]


def as_csv(sweep: Sweep) -> str:
    """The rows as CSV. A text that a spreadsheet would take for a formula has an apostrophe in front."""
    rows = rows_as_numbers(sweep)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    table: list[list[object]] = [[*rows[0]] if rows else []]
    table += [[*row.values()] for row in rows]
    writer.writerows([spreadsheet_text(value) for value in row] for row in table)
    return stream.getvalue()


def _numbers(rank: int, row: Configuration, sweep: Sweep) -> dict[str, str | int | float | None]:
    found: dict[str, str | int | float | None] = {
        "rank": rank,
        **{key: row.settings.get(key, "") for key in sweep.keys},
    }
    found |= {"runs": len(row.runs), "ended": len(row.ended)}
    found |= {status: row.statuses[status] for status in ("diverged", "failed", "interrupted", "missing")}
    spreads = {f"{sweep.objective} objective": row.objective, f"{sweep.metric} best": row.best}
    spreads |= {f"{sweep.metric} final": row.final, "gain per layer": row.gain, "seconds": row.seconds}
    spreads |= {"trainable depth": row.trainable}
    for name, spread in spreads.items():
        found |= {f"{name} mean": spread.mean, f"{name} sd": spread.sd}
    return found | {"verdicts": counted(row.verdicts)}


def _cells(sweep: Sweep) -> tuple[list[str], list[list[str]]]:
    """Titles and rows as words."""
    own = sweep.objective != sweep.metric  # the objective is not the metric that is shown anyway
    titles = [*sweep.keys, *([f"{sweep.objective}"] if own else []), f"{sweep.metric}", "final", "ended"]
    titles += ["verdict", "gain/layer", "seconds"]
    rows = [_words(row, sweep.keys, own) for row in sweep.rows]
    if shows_trainable(sweep):
        titles.append("trainable")
        rows = [[*words, number(row.trainable.mean)] for words, row in zip(rows, sweep.rows, strict=True)]
    return titles, rows


def _words(row: Configuration, keys: Sequence[str], own: bool) -> list[str]:
    settings = [row.settings.get(key, "") for key in keys]
    spreads = [*([row.objective] if own else []), row.best, row.final]
    end = f"{len(row.ended)}/{len(row.runs)}"
    others = Counter({status: n for status, n in row.statuses.items() if not Status(status).counts})
    end += f" ({counted(others)})" if others else ""
    tail = [counted(row.verdicts) or "-", number(row.gain.mean), number(row.seconds.mean)]
    return [*settings, *map(spread_words, spreads), end, *tail]


def spread_words(spread: MeanStd) -> str:
    """Such as ``0.9722 ± 0.0031``.

    Example:
        >>> spread_words(MeanStd.of([1.0, 3.0]))
        '2 ± 1.4'
    """
    return number(spread.mean) + (f" ± {spread.sd:.2g}" if spread.sd is not None else "")


def _grid(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(map(markdown_text, line))} |" for line in lines)
