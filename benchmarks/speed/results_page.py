"""The page of results: each section is measured alone and takes the place of what the page says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HEAD = (
    "# Speed\n\n"
    "How much time gradvitals takes, beside what people use instead. `make bench` writes this page. Everything that is "
    "compared does the same work and takes turns, block by block or run by run, on the same machine; figures of "
    "different sections may be of different machines. A ratio below 1 is faster. The goals are the project's own."
)
HEADING = "\n## "
MISSED = "**missed**"


def sections_of(page: str) -> dict[str, str]:
    """The text under each heading.

    Example:
        >>> sections_of("# Speed\\n\\n## A step\\n\\nfast\\n\\n## Start\\n\\nslow\\n")
        {'A step': 'fast', 'Start': 'slow'}
    """
    parts = (part.partition("\n") for part in page.split(HEADING)[1:])
    return {title.strip(): text.strip() for title, _, text in parts}


def goal(value: float, most: float | None = None, least: float | None = None) -> str:
    """What is to be reached, and whether it was.

    Example:
        >>> goal(1.107, most=1.1), goal(10.1, least=5)
        ('at most 1.1: **missed**', 'at least 5: met')
    """
    if most is not None:
        return f"at most {most:g}: {'met' if value <= most else MISSED}"
    assert least is not None
    return f"at least {least:g}: {'met' if value >= least else MISSED}"


def missed(sections: Mapping[str, str]) -> str:
    """The goals that are missed, one line for each row of a table that says so; rows of a name have one together.

    Example:
        >>> start, sweeps = "| first step | 2 | at most 1: **missed** |", "| one process | 1 | at most 2: met |"
        >>> print(missed({"Start": start, "Sweeps": sweeps}))
        Missed goals:
        <BLANKLINE>
        - Start: first step (at most 1)
    """
    lines = dict[str, None]()
    for title, text in sections.items():
        for cells in (line.split("|") for line in text.splitlines() if MISSED in line):
            found = next(cell for cell in cells if MISSED in cell)
            lines[f"- {title}: {cells[1].strip()} ({found.partition(':')[0].strip()})"] = None
    return "\n".join(["Missed goals:", "", *lines]) if lines else "No goal is missed."


def with_sections(page: str, titles: Sequence[str], measured: Mapping[str, str], end: str) -> str:
    """The page with what was measured, and what it had of the other titles; the end follows."""
    known = sections_of(page) | measured
    parts = [f"## {title}\n\n{known.get(title, 'Not measured.').strip()}" for title in titles]
    return "\n\n".join([HEAD, missed({title: known.get(title, "") for title in titles}), *parts, end])
