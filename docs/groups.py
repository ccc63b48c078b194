"""Writes the tables of ``docs/options.md`` from ``conf/``: ``python docs/groups.py`` (a test keeps them up to date).

What an option is says the comment at the top of its file.
"""

from __future__ import annotations

import re
from itertools import takewhile
from pathlib import Path

from gradvitals.app.config.compose import options_of_groups, usual_choices
from gradvitals.app.config.help_text import phrases

DOCS = Path(__file__).parent
CONF, PAGE = DOCS.parent / "conf", DOCS / "options.md"
BEGIN, END = "<!-- groups: made by docs/groups.py -->", "<!-- /groups -->"
ORDER = (
    *("model", "act", "init", "clip", "optimizer", "scheduler", "data"),
    *("trainer", "monitor", "callbacks", "logger", "sweep", "debug"),
)  # experiments have a page of their own


def tables() -> str:
    """Returns one table per group: the default option first and bold, and what each option is."""
    chosen, about = usual_choices(CONF), phrases((CONF / "train.yaml").read_text(encoding="utf-8"))
    return "\n\n".join(_table(group, about[group], chosen.get(group)) for group in ORDER)


def _table(group: str, about: str, default: str | None) -> str:
    options = sorted(options_of_groups(CONF)[group], key=lambda option: option != default)
    rows = [f"## {group}", "", f"{about[0].upper()}{about[1:]}.", "", "| option | what it is |", "| --- | --- |"]
    for option in options:
        name = f"**`{option}`**" if option == default else f"`{option}`"
        rows.append(f"| {name} | {described(CONF / group / f'{option}.yaml')} |")
    return "\n".join(rows)


def described(file: Path) -> str:
    """Returns the comment at the top of an option's file on one line; of a sweep's, what it shows."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
    text = " ".join(line.removeprefix("#").strip() for line in takewhile(lambda line: line.startswith("#"), lines))
    shows = re.search(r"Shows +(.*?)(?= Outcome | Time |$)", text)
    return (f"Shows {shows[1]}" if shows else text).replace("|", "\\|")


def with_tables(page: str) -> str:
    """Returns the page with new tables between its marks."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables()}\n\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
