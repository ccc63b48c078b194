"""How often the verdict is right about programs of others, and about faults that raise no error.

``python benchmarks/programs [real] [silent]``

``real``: programs of practitioners with a published fault, in PyTorch, faulty and fixed, and controls without a fault.
``silent``: faults that raise no error, in small nets that otherwise learn.

Every finished training is kept in ``logs/programs``; a run that was stopped goes on where it was. Delete that folder
after a change of the verdicts.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from joblib import Parallel, delayed

LOGS = Path(__file__).parents[2] / "logs" / "programs"
Row = dict[str, Any]
HEAD = """# How often the verdict is right about programs of others

Written by `python benchmarks/programs --write benchmarks/PROGRAMS.md`. Whether a program is sick is decided by its
score on held-out rows, never by a diagnosis. Each is one `LightningModule` under
`Trainer(callbacks=[GradientVitals()])`, on one thread. What is wrong, and which verdicts name it, is in
`benchmarks/programs/real.py` and `silent.py`."""


def train_key(part: str, key: str) -> Row:
    """Trains one version of one program, ``name/version/seed``."""
    from plan import train
    from real import CASES, CONTROLS
    from silent import KINDS

    name, version, seed = key.rsplit("/", 2)
    if version == "control":
        plan = CONTROLS[name].plan
    else:
        case = (CASES if part == "real" else KINDS)[name]
        plan = case.faulty if version == "faulty" else case.fixed
    return {"key": key} | train(plan, int(seed))


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


def work(part: str, keys: Sequence[str], workers: int, logs: Path) -> dict[str, Row]:
    """Trains what is not yet trained, in parallel, and keeps each row as it comes."""
    file = logs / f"{part}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = finished(file)
    left = [key for key in keys if key not in rows]
    began = time.perf_counter()
    results = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(train_key)(part, key) for key in left)
    with file.open("a") as out:
        for done, row in enumerate(results, 1):
            rows[row["key"]] = row
            out.write(json.dumps(row) + "\n")
            out.flush()
            rest = (time.perf_counter() - began) / done * (len(left) - done)
            print(f"{part} {done}/{len(left)}, {rest:.0f} s left: {row['key']}", flush=True)
    return rows


def main() -> None:
    """See the module."""
    from program_tables import real_table, silent_table
    from real import CASES, CONTROLS
    from silent import KINDS

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=["real", "silent", []], default=[])
    parser.add_argument("--seeds", type=int, default=3, help="of each program")
    parser.add_argument("--every", type=int, default=1, help="only one program in so many, as CI does with 10")
    parser.add_argument("--logs", type=Path, default=LOGS, help="the folder of finished trainings")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="a file for the tables")
    chosen = parser.parse_args()
    parts, seeds = chosen.parts or ["real", "silent"], range(chosen.seeds)
    tables = [HEAD]
    for part, all_cases in (("real", CASES), ("silent", KINDS)):
        if part not in parts:
            continue
        cases = list(all_cases.values())[:: chosen.every]
        controls = list(CONTROLS)[:: chosen.every] if part == "real" else []
        names = [f"{case.name}/{version}" for case in cases for version in ("faulty", "fixed")]
        names += [f"{name}/control" for name in controls]
        rows = work(part, [f"{name}/{seed}" for seed in seeds for name in names], chosen.workers, chosen.logs)
        tables.append(
            real_table(cases, controls, rows, chosen.seeds)
            if part == "real"
            else silent_table(cases, rows, chosen.seeds)
        )
    text = "\n\n".join(tables) + "\n"
    print(text)
    if chosen.write:
        chosen.write.write_text(text)


if __name__ == "__main__":
    main()
