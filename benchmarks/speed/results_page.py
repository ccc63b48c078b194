"""The page of results: each section is measured alone and takes the place of what the page says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

HEAD = (
    "# Speed\n\n"
    "`make bench` writes this page. Everything that is compared does the same work and takes turns, block by block or "
    "run by run, on the same machine. Ratios below 1 are faster."
)
HEADING = "\n## "


def sections_of(page: str) -> dict[str, str]:
    """The text under each heading.

    Example:
        >>> sections_of("# Speed\\n\\n## A step\\n\\nfast\\n\\n## Start\\n\\nslow\\n")
        {'A step': 'fast', 'Start': 'slow'}
    """
    parts = (part.partition("\n") for part in page.split(HEADING)[1:])
    return {title.strip(): text.strip() for title, _, text in parts}


def with_sections(page: str, titles: Sequence[str], measured: Mapping[str, str], end: str) -> str:
    """The page with what was measured, and what it had of the other titles; the end follows."""
    known = sections_of(page) | measured
    parts = [f"## {title}\n\n{known.get(title, 'Not measured.').strip()}" for title in titles]
    return "\n\n".join([HEAD, *parts, end])
