"""How often the diagnosis is right, and the cure helps: ``python benchmarks/zoo [published] [drawn] [cured]``.

``published``: networks with known sicknesses and healthy controls, three seeds each, beside the rules of others.
``drawn``: networks drawn at random, each judged sick or healthy by what it reaches and what a remedy reaches.
``cured``: ``src/cure.py`` on each sick published network.

Every finished training is kept in ``logs/zoo``; a run that was stopped resumes. The table is written to
``benchmarks/ZOO.md``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from draw import CONTROLS, DATA, REMEDIES, control, draw, remedied
from published import ZOO, overrides
from resumable import Job, Row, work
from run import cure, train

LOGS = Path(__file__).parents[2] / "logs" / "zoo"
HEAD = """# How often the diagnosis is right, and the cure helps

Written by `python benchmarks/zoo --write benchmarks/ZOO.md`. Whether a run is sick is decided by the accuracy that it
reaches, never by a diagnosis. The names, faults and rules of others are in
`benchmarks/zoo/published.json` and `rivals.py`."""


def published_jobs(seeds: int) -> list[Job]:
    """All published networks."""
    nets = [(net, seed) for seed in range(seeds) for net in ZOO["networks"]]
    return [(f"{net['id']}/{seed}", train, (overrides(net, seed), True)) for net, seed in nets]


def cured_jobs(rows: dict[str, Row], seeds: int) -> list[Job]:
    """The sick ones among them."""
    from tables import is_sick

    nets = [(net, seed) for seed in range(seeds) for net in ZOO["networks"]]
    sick = [(net, seed) for net, seed in nets if is_sick(net, rows[f"{net['id']}/{seed}"])]
    return [(f"{net['id']}/{seed}", cure, (overrides(net, seed),)) for net, seed in sick]


def drawn_jobs(first: int, last: int) -> list[Job]:
    """The healthy nets, and those that are drawn."""
    controls = [(f"{data}/{i}", train, (control(data, i),)) for data in DATA for i in range(len(CONTROLS))]
    return [*controls, *((str(n), train, (draw(n),)) for n in range(first, last))]


def healthy_median(rows: dict[str, Row], data: str) -> float:
    """What the healthy nets reach."""
    return median(rows[f"{data}/{i}"]["accuracy"] for i in range(len(CONTROLS)))


def best_remedy(overrides: list[str], enough: float) -> Row:
    """The best accuracy of the remedies at the same depth and width, which are tried until one is enough."""
    best = 0.0
    for remedy in REMEDIES:
        best = max(best, train(remedied(overrides, remedy))["accuracy"])
        if best >= enough:
            break
    return {"accuracy": best}


def undecided_jobs(rows: dict[str, Row], first: int, last: int) -> list[Job]:
    """Those of the drawn whose accuracy alone does not say whether they are sick."""
    medians = {data: healthy_median(rows, data) for data in DATA}
    jobs: list[Job] = []
    for n in map(str, range(first, last)):
        enough = 0.95 * medians[data_of(rows[n])]
        if rows[n]["accuracy"] < enough and rows[n]["broken_at"] is None:
            jobs.append((n, best_remedy, (rows[n]["overrides"], enough)))
    return jobs


def data_of(row: Row) -> str:
    """The name of a row's data set."""
    return row["overrides"][0].partition("=")[2]


def main() -> None:
    """See the module."""
    from tables import cured_table, drawn_table, published_table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["published", "drawn", "cured", []], default=[])
    parser.add_argument("--seeds", type=int, default=3, help="of each published network")
    parser.add_argument("--first", type=int, default=200, help="number of the first drawn network")
    parser.add_argument("--last", type=int, default=300, help="number behind the last")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="a file for the tables")
    chosen = parser.parse_args()
    parts = chosen.parts or ["published", "cured", "drawn"]
    tables = [HEAD]
    if "published" in parts or "cured" in parts:
        rows = work(LOGS / "published.jsonl", published_jobs(chosen.seeds), chosen.workers)
        tables.append(published_table(rows))
    if "cured" in parts:
        tables.append(cured_table(work(LOGS / "cured.jsonl", cured_jobs(rows, chosen.seeds), chosen.workers), rows))
    if "drawn" in parts:
        rows = work(LOGS / "drawn.jsonl", drawn_jobs(chosen.first, chosen.last), chosen.workers)
        remedies = work(LOGS / "remedies.jsonl", undecided_jobs(rows, chosen.first, chosen.last), chosen.workers)
        medians = {data: healthy_median(rows, data) for data in DATA}
        tables.append(drawn_table([rows[str(n)] for n in range(chosen.first, chosen.last)], remedies, medians))
    text = "\n\n".join(tables) + "\n"
    print(text)
    if chosen.write:
        chosen.write.write_text(text)


if __name__ == "__main__":
    main()
