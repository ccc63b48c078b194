"""Writes the README's table of groups from ``conf/``: ``python docs/groups.py`` (a test keeps it up to date)."""

from __future__ import annotations

from pathlib import Path

from gradvitals.app.config.compose import options_of_groups, usual_choices
from gradvitals.app.config.conf_folder import PACKAGED as CONF
from gradvitals.app.config.help_text import phrases

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- groups: made by docs/groups.py -->", "<!-- /groups -->"
ORDER = (
    *("model", "act", "init", "clip", "optimizer", "scheduler", "data"),
    *("trainer", "monitor", "callbacks", "logger", "experiment", "sweep", "debug"),
)


def table() -> str:
    """Returns one row per group, the default option first and bold."""
    chosen, about = usual_choices(CONF), phrases((CONF / "train.yaml").read_text(encoding="utf-8"))
    rows = ["| group | what | options |", "| --- | --- | --- |"]
    for group in ORDER:
        options = sorted(options_of_groups(CONF)[group], key=lambda option: option != chosen.get(group))
        cells = [f"**`{option}`**" if option == chosen.get(group) else f"`{option}`" for option in options]
        rows.append(f"| `{group}` | {about[group]} | {' '.join(cells)} |")
    return "\n".join(rows)


def with_table(readme: str) -> str:
    """Returns the README with a new table between its marks."""
    before, _, rest = readme.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{table()}\n{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_table(path.read_text(encoding="utf-8")), encoding="utf-8")
