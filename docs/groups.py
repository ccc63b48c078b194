"""Writes the README's table of groups from ``conf/``: ``python docs/groups.py`` (a test keeps it up to date)."""

from __future__ import annotations

from pathlib import Path

from gradvitals.app.config.help_text import DEFAULT, phrases

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- groups: made by docs/groups.py -->", "<!-- /groups -->"
ORDER = (
    *("model", "act", "init", "clip", "optimizer", "scheduler", "data"),
    *("trainer", "monitor", "callbacks", "logger", "experiment", "sweep", "debug"),
)


def defaults() -> dict[str, str]:
    """Returns the default option of each group, from the defaults list of ``conf/train.yaml``."""
    lines = (ROOT / "conf/train.yaml").read_text(encoding="utf-8").splitlines()
    return {found[1]: found[2] for line in lines if (found := DEFAULT.fullmatch(line))}


def table() -> str:
    """Returns one row per group, the default option first and bold."""
    chosen, about = defaults(), phrases((ROOT / "conf/train.yaml").read_text(encoding="utf-8"))
    rows = ["| group | what | options |", "| --- | --- | --- |"]
    for group in ORDER:
        options = sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))
        options.sort(key=lambda option: option != chosen.get(group))
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
