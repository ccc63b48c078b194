"""From rows to tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from real import CONTROLS, Case

sys.path.append(str(Path(__file__).parents[1] / "zoo"))
from rates import rate

Row = dict[str, Any]
LEARNS = 0.3  # of a program without a fault
WORSE = 0.1  # in the mean of all seeds
GUESSES = 0.1
NO_CAUSE = ("healthy", "undecided", "not_learning")


def is_worse(faulty: Sequence[Row], fixed: Sequence[Row]) -> bool:
    """Whether the faulty version is clearly worse: in the mean, and in eight of nine pairs of seeds.

    Example:
        >>> is_worse([{"score": 0.2}], [{"score": 0.9}]), is_worse([{"score": 0.85}], [{"score": 0.9}])
        (True, False)
    """
    bad, good = [row["score"] for row in faulty], [row["score"] for row in fixed]
    pairs = [b < g for b in bad for g in good]
    return mean(good) - mean(bad) >= WORSE and mean(pairs) > 0.85 and median(good) >= GUESSES


def is_alarm(row: Row, noise: bool = False) -> bool:
    """Whether the verdict says that something is wrong; of noise it may say that nothing is learned."""
    return row["verdict"] not in ("healthy", "undecided", "not_learning" if noise else "healthy")


def most(hits: Iterable[bool]) -> bool:
    """Whether it is so in most seeds."""
    hits = list(hits)
    return 2 * sum(hits) > len(hits)


class Versions:
    """The rows of a case, by version."""

    def __init__(self, case: Case, rows: dict[str, Row], seeds: int) -> None:
        self.case = case
        self.faulty = [rows[f"{case.name}/faulty/{seed}"] for seed in range(seeds)]
        self.fixed = [rows[f"{case.name}/fixed/{seed}"] for seed in range(seeds)]
        self.counts = is_worse(self.faulty, self.fixed)

    def named(self, row: Row) -> bool:
        return row["verdict"] in self.case.causes


def real_table(cases: Sequence[Case], controls: Sequence[str], rows: dict[str, Row], seeds: int) -> str:
    """How many faulty programs are found and named, and how many alarms are false."""
    programs = [Versions(case, rows, seeds) for case in cases]
    counted = [program for program in programs if program.counts]
    runs = [(program, row) for program in counted for row in program.faulty]
    alarms = [(program, row) for program, row in runs if is_alarm(row)]
    fixed = [(f"{p.case.name} fixed", p.fixed, False) for p in programs]
    fixed += [
        (name, [rows[f"{name}/control/{seed}"] for seed in range(seeds)], CONTROLS[name].noise) for name in controls
    ]
    good = [(name, row, noise) for name, members, noise in fixed for row in members if noise or row["score"] >= LEARNS]
    false = [(name, row) for name, row, noise in good if is_alarm(row, noise)]
    named = [program.named(row) for program, row in alarms]
    told = [program.named(row) for program, row in alarms if row["verdict"] not in NO_CAUSE]
    alarmed = {name for name, _ in false}
    names = list(dict.fromkeys(name for name, _, _ in good))
    lines = [
        f"## Real programs: {len(programs)}, of which {len(counted)} count",
        "",
        "A program counts where its faulty version is worse over the seeds by its held-out score (0: the best answer",
        f"that ignores the input; 1: perfect) by {WORSE} in the mean and in eight of nine pairs of seeds. Shares with",
        "their 95 % bounds (Wilson). *Found*: the verdict is neither `healthy` nor `undecided`.",
        "",
        "| | programs (most seeds) | runs |",
        "| --- | --- | --- |",
        _both("found", [[is_alarm(row) for row in p.faulty] for p in counted]),
        _both("cause named", [[p.named(row) for row in p.faulty] for p in counted]),
        _both("undecided", [[row["verdict"] == "undecided" for row in p.faulty] for p in counted]),
        f"| precision: of the alarms, the cause is right | | {rate(named)} |",
        f"| ... with the alarms on fixed programs | | {rate([*named, *(False for _ in false)])} |",
        f"| ... of the alarms that name a cause | | {rate(told)} |",
        f"| alarms on fixed or healthy programs that learn | {rate([name in alarmed for name in names])} "
        f"| {rate([is_alarm(row, noise) for _, row, noise in good])} |",
        "",
        *_case_lines(programs),
        "",
        "| control | scores | verdicts |",
        "| --- | --- | --- |",
        *(f"| {name} | {_scores(members)} | {_verdicts(members)} |" for name, members, _ in fixed[len(programs) :]),
    ]
    wrong = [f"- `{row['key']}` learns ({row['score']:.2f}): {row['evidence']}" for _, row in false]
    return "\n".join([*lines, *(["", "False alarms:", "", *wrong] if wrong else [])])


def silent_table(cases: Sequence[Case], rows: dict[str, Row], seeds: int) -> str:
    """How many silent faults are named."""
    kinds = [Versions(case, rows, seeds) for case in cases]
    counted = [kind for kind in kinds if kind.counts]
    guessing = [row for kind in counted for row in kind.faulty if row["score"] <= GUESSES]
    twins = {id(kind.case.fixed): kind.fixed for kind in kinds}.values()
    good = [row for members in twins for row in members if row["score"] >= LEARNS]
    false = [row for row in good if is_alarm(row)]
    lines = [
        f"## Silent faults: {len(kinds)} kinds, of which {len(counted)} do harm",
        "",
        f"- named in most seeds: {rate([most(map(kind.named, kind.faulty)) for kind in counted])}",
        f"- found in most seeds: {rate([most(map(is_alarm, kind.faulty)) for kind in counted])}",
        f"- runs that guess and are `healthy`: {rate([row['verdict'] == 'healthy' for row in guessing])}",
        f"- alarms on twins without the fault that learn: {rate([is_alarm(row) for row in good])}",
        f"- twins that do not learn: {sum(len(members) for members in twins) - len(good)}",
        "",
        *_case_lines(kinds),
    ]
    wrong = [f"- `{row['key']}` learns ({row['score']:.2f}): {row['evidence']}" for row in false]
    return "\n".join([*lines, *(["", "False alarms:", "", *wrong] if wrong else [])])


def _both(name: str, hits: Sequence[Sequence[bool]]) -> str:
    return f"| {name} | {rate([most(seeds) for seeds in hits])} | {rate([hit for seeds in hits for hit in seeds])} |"


def _case_lines(cases: Sequence[Versions]) -> list[str]:
    return [
        "| program | fault | accepted causes | counts | faulty: scores | verdicts | fixed: scores | verdicts |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {c.case.name} | {c.case.fault} | {', '.join(sorted(c.case.causes))} | {'yes' if c.counts else 'no'} "
            f"| {_scores(c.faulty)} | {_verdicts(c.faulty)} | {_scores(c.fixed)} | {_verdicts(c.fixed)} |"
            for c in cases
        ),
    ]


def _scores(rows: Sequence[Row]) -> str:
    return " ".join(f"{row['score']:.2f}" for row in rows)


def _verdicts(rows: Sequence[Row]) -> str:
    return " ".join(row["verdict"] for row in rows)
