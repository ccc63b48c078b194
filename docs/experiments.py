"""Writes the table of ``docs/recipes.md`` from the headers of ``conf/experiment``: ``python docs/experiments.py``.

A header is the comment at the top of a file: the command, what it shows, its outcome, its time and its source. A test
keeps the table up to date and every header complete.
"""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIELDS = ("Shows", "Outcome", "Time", "Source")
BEGIN, END = "<!-- experiments: made by docs/experiments.py -->", "<!-- /experiments -->"


def header(file: Path) -> dict[str, str]:
    """Returns the command and the fields of an experiment's header, each on one line."""
    found, field = {}, ""
    for line in file.read_text(encoding="utf-8").splitlines():
        if line.startswith("# @package"):
            continue
        if not line.startswith("#"):
            break
        text = line.removeprefix("# ").strip()
        if text.startswith("python "):
            found["Command"] = text
        elif (word := text.partition(" ")[0]) in FIELDS:
            field = word
            found[field] = text.removeprefix(word).strip()
        elif field:
            found[field] += f" {text.removeprefix('#').strip()}"
    return found


def headers() -> list[dict[str, str]]:
    """Returns the header of every experiment."""
    return [header(file) for file in sorted((ROOT / "conf/experiment").glob("*.yaml"))]


def table() -> str:
    """Returns one row per experiment, those of one source together."""
    rows = ["| command | shows | outcome | time | source |", "| --- | --- | --- | --- | --- |"]
    for found in sorted(headers(), key=lambda found: _order(found["Source"])):
        rows.append(f"| `{found['Command']}` | {' | '.join(found[field] for field in FIELDS)} |")
    return "\n".join(rows)


def _order(source: str) -> tuple[int, str]:
    # Founding documents first; then published papers; then our own.
    return 0 if re.match("notebook |slides ", source) else 1 if "arXiv" in source else 2, source


def with_table(page: str) -> str:
    """Returns the page with a new table between its marks."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    path = ROOT / "docs/recipes.md"
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
