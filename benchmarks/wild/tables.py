"""From rows to tables."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

Row = dict[str, Any]
CALM = ("healthy", "undecided")


def is_alarm(verdict: str) -> bool:
    """Whether a verdict says that something is wrong."""
    return verdict not in CALM


def alarmed_meanwhile(row: Row) -> bool:
    """Whether anything was said to be wrong at any time."""
    return is_alarm(row["verdict"]) or any(is_alarm(verdict) for _, verdict in row["said"])


def share(rows: Sequence[Row], holds: Sequence[Row]) -> str:
    """``3 of 60 (5.0 %)``."""
    return f"{len(holds)} of {len(rows)} ({100 * len(holds) / len(rows):.1f} %)" if rows else "none"


def counts_table(rows: dict[str, Row], stopped: dict[str, Row]) -> str:
    """The counts over all cases."""
    named = [row | {"name": name} for name, row in rows.items()]
    learn = [row for row in named if row["outcome"] == "learns"]
    fail = [row for row in named if row["outcome"] == "fails"]
    with_word = [row for row in fail if row["helps"]]
    without_word = [row for row in fail if row["fault"] and not row["helps"]]
    found = [row for row in fail if is_alarm(row["verdict"])]
    tried = [row for row in learn if row["name"] in stopped]
    shares = [row["step"] / row["steps"] for row in found]
    lines = [
        ("runs that learn: false alarm at the end", share(learn, [row for row in learn if is_alarm(row["verdict"])])),
        ("runs that learn: false alarm at any time", share(learn, [row for row in learn if alarmed_meanwhile(row)])),
        ("runs that learn: undecided at the end", share(learn, [row for row in learn if row["verdict"] == CALM[1]])),
        ("runs that learn: ended by `auto_stop=True`", share(tried, [r for r in tried if stopped[r["name"]]["ended"]])),
        ("runs that fail: not called healthy", share(fail, [row for row in fail if row["verdict"] != CALM[0]])),
        ("runs that fail: undecided at the end", share(fail, [row for row in fail if row["verdict"] == CALM[1]])),
        (
            "runs that fail by a fault that some verdict names: the verdict names a cause that helps",
            share(with_word, [row for row in with_word if row["verdict"] in row["helps"]]),
        ),
        (
            "runs that fail by a fault that no verdict names: not called healthy",
            share(without_word, [row for row in without_word if row["verdict"] != CALM[0]]),
        ),
        ("runs that fail: median step of the verdict, as a share of the planned steps", _middle(shares)),
        ("fits that raised an error", share(named, [row for row in named if row["crash"]])),
    ]
    partly = sum(row["outcome"] == "partly" for row in named)
    head = [
        f"## {len(rows)} trainings: {len(learn)} learn, {len(fail)} fail, {partly} learn partly",
        "",
        "| | |",
        "| --- | --- |",
    ]
    return "\n".join([*head, *(f"| {name} | {count} |" for name, count in lines)])


def _middle(shares: Sequence[float]) -> str:
    return f"{100 * median(shares):.1f} %" if shares else "none"


def healthy_table(rows: dict[str, Row], stopped: dict[str, Row]) -> str:
    """One line per case that is meant to learn."""
    lines = [
        "## Meant to learn",
        "",
        "| case | kind | score (trivial / good) | outcome | verdict | alarms meanwhile | `auto_stop` ends it | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in sorted(rows.items()):
        ended = {True: f"at {stopped[name]['ran']}", False: "no"}[stopped[name]["ended"]] if name in stopped else ""
        cells = [f"`{name}`", row["kind"], _score(row), row["outcome"], _verdict(row), _meanwhile(row), ended]
        lines.append(_line([*cells, f"{row['seconds']:.1f}"]))
    return "\n".join(lines)


def sick_table(rows: dict[str, Row]) -> str:
    """One line per case with a fault."""
    lines = [
        "## With one fault",
        "",
        "| case | fault | score (trivial / good) | outcome | verdict | right? | would help | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, row in sorted(rows.items()):
        cells = [f"`{name}`", row["fault"], _score(row), row["outcome"], _verdict(row), _judged(row)]
        lines.append(_line([*cells, ", ".join(row["helps"]), f"{row['seconds']:.1f}"]))
    return "\n".join(lines)


def wrong(rows: dict[str, Row]) -> str:
    """The evidence of each verdict that is wrong."""
    lines = ["## What was said where the verdict is wrong", ""]
    for name, row in sorted(rows.items()):
        is_wrong = is_alarm(row["verdict"]) if row["outcome"] == "learns" else _judged(row) not in ("yes", "", "partly")
        if is_wrong or row["crash"]:
            lines.append(f"- `{name}` ({row['outcome']}): {row['crash'] or row['evidence']}".replace("\n", " "))
    return "\n".join(lines) if len(lines) > 2 else ""


def _judged(row: Row) -> str:
    if row["outcome"] != "fails":
        return "partly" if row["outcome"] == "partly" else "it learns"
    if row["verdict"] == CALM[0]:
        return "**MISSED**"
    if row["verdict"] in row["helps"] or not row["helps"]:
        return "yes"
    return "undecided" if row["verdict"] == CALM[1] else "found, the cause does not help"


def _score(row: Row) -> str:
    reached = "nan" if row["score"] is None else f"{row['score']:.3g}"
    return f"{reached} ({row['trivial']:.3g} / {row['good']:.3g})"


def _verdict(row: Row) -> str:
    if row["crash"]:
        return "**crash**"
    return f"{row['verdict']} @{row['step']} of {row['steps']}" if is_alarm(row["verdict"]) else row["verdict"]


def _meanwhile(row: Row) -> str:
    said = [f"{verdict}@{step}" for step, verdict in row["said"]]
    return ", ".join(said) if any(is_alarm(verdict) for _, verdict in row["said"]) else ""


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
