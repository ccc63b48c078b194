"""How often the diagnosis is right, and the cure helps: ``python benchmarks/zoo [published] [drawn] [cured]``.

``published``: networks with known sicknesses and healthy controls, three seeds each, beside the rules of others.
``drawn``: networks drawn at random, each judged sick or healthy by what it reaches and what a remedy reaches.
``cured``: ``src/cure.py`` on each sick published network.

Every finished training is kept in ``logs/zoo``; a run that was stopped goes on where it was. The table is written to
``benchmarks/ZOO.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from draw import CONTROLS, DATA, REMEDIES, control, draw, remedied
from joblib import Parallel, delayed
from published import ZOO, overrides
from run import cure, train

ROOT = Path(__file__).parents[2]
Row = dict[str, Any]
HEAD = """# How often the diagnosis is right, and the cure helps

Written by `python benchmarks/zoo --write benchmarks/ZOO.md`. Whether a run is sick is decided by the accuracy that it
reaches, never by a diagnosis. The names, faults and rules of others are in
`benchmarks/zoo/published.json` and `rivals.py`."""
Job = tuple[str, Callable[..., Row], tuple]


def finished(file: Path) -> dict[str, Row]:
    """The rows of trainings that were finished before, by key; a line that was cut off is left out."""
    rows = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["key"]] = row
    return rows


def work(name: str, jobs: Iterable[Job], workers: int) -> dict[str, Row]:
    """Do what is not yet done, in parallel, and keep each row as it comes."""
    file = ROOT / "logs" / "zoo" / f"{name}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = finished(file)
    left = [job for job in jobs if job[0] not in rows]
    began = time.perf_counter()
    results = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(_keyed)(*job) for job in left)
    with file.open("a") as out:
        for done, row in enumerate(results, 1):
            rows[row["key"]] = row
            out.write(json.dumps(row) + "\n")
            out.flush()
            rest = (time.perf_counter() - began) / done * (len(left) - done)
            print(f"{name} {done}/{len(left)}, {rest:.0f} s left: {row['key']}", flush=True)
    return rows


def _keyed(key: str, function: Callable[..., Row], arguments: tuple) -> Row:
    return {"key": key} | function(*arguments)


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
        rows = work("published", published_jobs(chosen.seeds), chosen.workers)
        tables.append(published_table(rows))
    if "cured" in parts:
        tables.append(cured_table(work("cured", cured_jobs(rows, chosen.seeds), chosen.workers), rows))
    if "drawn" in parts:
        rows = work("drawn", drawn_jobs(chosen.first, chosen.last), chosen.workers)
        remedies = work("remedies", undecided_jobs(rows, chosen.first, chosen.last), chosen.workers)
        medians = {data: healthy_median(rows, data) for data in DATA}
        tables.append(drawn_table([rows[str(n)] for n in range(chosen.first, chosen.last)], remedies, medians))
    text = "\n\n".join(tables) + "\n"
    print(text)
    if chosen.write:
        chosen.write.write_text(text)


if __name__ == "__main__":
    main()
