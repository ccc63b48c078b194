"""What the faults share: each test says how many it tried and how many were survived; the end of the run tells all."""

from __future__ import annotations

from collections.abc import Callable

import pytest

KEY = "fault"


@pytest.fixture
def tally(record_property) -> Callable[..., None]:
    """Put down a kind of fault: tried so many times, survived so many, and the bytes of checkpoints that were lost.

    Example: ``tally("malformed CSV", tried=200, survived=200, bytes_lost=0)``.
    """

    def put_down(kind: str, tried: int, survived: int, bytes_lost: int = 0) -> None:
        record_property(KEY, [kind, tried, survived, bytes_lost])
        assert survived == tried, f"{kind}: {survived} of {tried} survived"

    return put_down


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table; a test that failed before it could tell is one of none survived."""
    reports = [r for rs in terminalreporter.stats.values() for r in rs if getattr(r, "when", "") == "call"]
    told = [value for report in reports for key, value in report.user_properties if key == KEY]
    if not told:
        return
    terminalreporter.section("faults")
    width = max(len(kind) for kind, *_ in told)
    terminalreporter.write_line(f"{'':{width}}  tried  survived  bytes lost")
    for kind, tried, survived, lost in sorted(told):
        terminalreporter.write_line(f"{kind:{width}}  {tried:5,}  {survived:8,}  {lost:10,}")
    sums = [sum(column) for column in list(zip(*told, strict=True))[1:]]
    terminalreporter.write_line(f"{'all':{width}}  {sums[0]:5,}  {sums[1]:8,}  {sums[2]:10,}")
