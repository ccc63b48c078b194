"""The faults that were tried, as a table at the end of a test run."""

from __future__ import annotations

import pytest

KEY = "fault"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table; a test that failed before it could tell is not in it."""
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
