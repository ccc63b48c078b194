"""From rows to tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

from published import ZOO, outcome
from rates import rate
from rivals import RIVALS

Row = dict[str, Any]
Judge = Callable[[Row], tuple[str, int] | None]  # the verdict and its step; None: healthy


def ours(row: Row) -> tuple[str, int] | None:
    """Our own verdict."""
    return None if row["verdict"] == "healthy" else (row["verdict"], row["step"])


def theirs(name: str) -> Judge:
    """That of a rival."""

    def judge(row: Row) -> tuple[str, int] | None:
        alarm = row["rivals"][name]
        return None if alarm is None else (alarm["verdict"], alarm["step"])

    return judge


def state(net: dict[str, Any], row: Row) -> str:
    """``sick``, ``healthy`` or ``not counted``."""
    return outcome(row["accuracy"], ZOO["healthy_median"][net["data"]], control=net["cause"] == ["healthy"])


def is_sick(net: dict[str, Any], row: Row) -> bool:
    """Whether a published network was sick in this run."""
    return state(net, row) == "sick"


def published_table(rows: dict[str, Row]) -> str:
    """One line per tool."""
    runs = [(net, row) for net in ZOO["networks"] for key, row in rows.items() if key.partition("/")[0] == net["id"]]
    sick = [(net, row) for net, row in runs if state(net, row) == "sick"]
    healthy = [row for net, row in runs if state(net, row) == "healthy"]
    lines = [
        f"## Published networks: {len(runs)} runs, {len(sick)} sick, {len(healthy)} healthy by their accuracy",
        "",
        "Shares with their 95 % bounds (Wilson). The step of the verdict in a sick run is a share of its steps.",
        "",
        "| | sick, not called healthy | the right cause named | healthy, called sick | median step |",
        "| --- | --- | --- | --- | --- |",
    ]
    judges: list[tuple[str, Judge]] = [("**gradvitals**", ours), *((r.name, theirs(r.name)) for r in RIVALS)]
    lines += [_line(name, judge, sick, healthy) for name, judge in judges]
    wrong = [f"{row['key']}: {row['evidence']}" for net, row in sick if row["verdict"] not in net["cause"]]
    wrong += [f"{row['key']} is healthy: {row['evidence']}" for row in healthy if row["verdict"] != "healthy"]
    return "\n".join([*lines, *(["", "Wrong:", *(f"- {line}" for line in wrong)] if wrong else [])])


def _line(name: str, judge: Judge, sick: Sequence[tuple[dict, Row]], healthy: Sequence[Row]) -> str:
    found = [(net, row, judge(row)) for net, row in sick]
    seen = [verdict is not None for _, _, verdict in found]
    right = [verdict is not None and verdict[0] in net["cause"] for net, _, verdict in found]
    alarms = [judge(row) is not None for row in healthy]
    shares = [verdict[1] / row["steps"] for _, row, verdict in found if verdict]
    early = f"{median(shares):.1%}".replace("%", " %") if shares else "-"
    return f"| {name} | {rate(seen)} | {rate(right)} | {rate(alarms)} | {early} |"


def cured_table(rows: dict[str, Row], sick: dict[str, Row]) -> str:
    """How many of the sick were cured, and what it cost."""
    medians = {net["id"]: ZOO["healthy_median"][net["data"]] for net in ZOO["networks"]}
    cured = {key: row["accuracy"] >= 0.95 * medians[key.partition("/")[0]] for key, row in rows.items()}
    steps, seconds = [row["cost"] for row in rows.values()], [row["relative_seconds"] for row in rows.values()]
    lines = [
        f"## The cure: {rate(list(cured.values()))} of the sick runs that it was tried on",
        "",
        "A run is cured if it reaches 0.95 of the healthy nets' median at full length. In the median it took",
        f"{median(steps):.2f} full trainings by steps and {median(seconds):.2f} by time ({max(seconds):.2f} at most):",
        "the sick run until it was diagnosed, the trials and the confirmation, one after the other.",
        "",
        "| network | problem | verdict | accuracy | remedy | accuracy | trainings |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    problems = {net["id"]: net["problem"] for net in ZOO["networks"]}
    for key, row in sorted(rows.items()):
        name, mark = key.partition("/")[0], "" if cured[key] else " (not cured)"
        before, after = f"{sick[key]['accuracy']:.3f}", f"{row['accuracy']:.3f}{mark}"
        cells = [
            key,
            problems[name],
            row["verdict"],
            before,
            f"`{' '.join(row['remedy'])}`",
            after,
            f"{row['cost']:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def drawn_table(rows: Sequence[Row], remedies: dict[str, Row], medians: dict[str, float]) -> str:
    """The drawn networks: how many sick ones were found, and how many false alarms there were."""
    from run import is_sick

    states: dict[str, list[Row]] = {"sick": [], "healthy": [], "limited": [], "not counted": []}
    for row in rows:
        best = remedies[row["key"]]["accuracy"] if row["key"] in remedies else None
        states[is_sick(row["accuracy"], medians[row["overrides"][0].partition("=")[2]], best)].append(row)
    found = {name: [ours(row) is not None for row in members] for name, members in states.items()}
    later = [row for row in states["sick"] if row["broken_at"] != 0]
    shares = [row["step"] / row["steps"] for row in states["sick"] if row["step"] is not None]
    wrong = [("sick, not found", row) for row in states["sick"] if ours(row) is None]
    wrong += [(f"{name}, called sick", row) for name in ("healthy", "limited") for row in states[name] if ours(row)]
    lines = [
        f"## Networks drawn at random: {len(rows)}, "
        + ", ".join(f"{len(members)} {name}" for name, members in states.items()),
        "",
        "Sick: below 0.9 of the median of healthy nets on the same data, and some remedy at the same depth and width",
        "reaches 0.95 of it. Limited: no remedy does. Shares with their 95 % bounds (Wilson).",
        "",
        f"- sick, not called healthy: {rate(found['sick'])}",
        f"- the same without those that are not finite at step 0: {rate([ours(row) is not None for row in later])}",
        f"- healthy, called sick: {rate(found['healthy'])}",
        f"- healthy or limited, called sick: {rate([*found['healthy'], *found['limited']])}",
        f"- median step of the verdict: {median(shares):.1%} of the training".replace("%", " %"),
        "",
        *(f"- {kind}: {_told(row)}" for kind, row in wrong),
    ]
    return "\n".join(lines)


def _told(row: Row) -> str:
    return f"`{' '.join(row['overrides'])}`, accuracy {row['accuracy']:.3f}: {row['evidence']}"
