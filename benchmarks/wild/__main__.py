"""Whether the verdict is right on what people really train: ``python benchmarks/wild [--part healthy] [--part sick]``.

Each case is a LightningModule under ``Trainer(callbacks=[GradientVitals()])`` with defaults. Whether it has learnt is
decided by a score on held-out data; the verdict has no part in that. A file in ``cases`` adds cases.

Every finished training is kept in ``logs/wild``; a run that was stopped resumes, and ``--again`` does
again what was finished. The tables are written to ``benchmarks/WILD.md``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from fnmatch import fnmatch
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from case import Case
from resumable import Job, Row, work
from run import all_cases, train, train_with_auto_stop
from tables import counts_table, healthy_table, sick_table, wrong

LOGS = Path(__file__).parents[2] / "logs" / "wild"
PARTS = ("healthy", "sick")
HEAD = """# Whether the verdict is right on what people really train

Written by `python benchmarks/wild --auto-stop --write benchmarks/WILD.md`: each case under
`Trainer(callbacks=[GradientVitals()])` with defaults, on the CPU, one thread, seed 1. Each has a score on held-out
data, the score of the best answer that ignores the input (*trivial*) and a score from which on it has learnt as it
should (*good*). A run *learns* where it reaches good, *fails* at less than half of the way there, else it learns
*partly*. An alarm is a verdict other than `healthy` and `undecided`."""


def done(
    file: Path, function: Callable[[str], Row], keys: Sequence[str], options: argparse.Namespace
) -> dict[str, Row]:
    """What a function says of each key, and nothing of what was finished of others."""
    jobs: list[Job] = [(key, function, (key,)) for key in keys]
    rows = work(file, jobs, options.workers, options.again)
    return {key: rows[key] for key in keys}


def chosen_cases(cases: Sequence[Case], part: str, every: int, only: str) -> list[Case]:
    """Every so manieth case of a part whose name matches."""
    of_part = [case for case in cases if bool(case.fault) == (part == "sick") and fnmatch(case.name, only)]
    return of_part[::every]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS, help="healthy: meant to learn; sick: with a fault")
    parser.add_argument("--every", type=int, default=1, help="run one case in so many")
    parser.add_argument("--only", default="*", help="run cases whose name matches, like 'cnn*'")
    parser.add_argument("--auto-stop", action="store_true", help="fit what learns once more, with auto_stop=True")
    parser.add_argument("--again", action="store_true", help="train what was finished before, too")
    parser.add_argument("--logs", type=Path, default=LOGS, help="the folder of finished trainings")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--write", type=Path, help="a file for the tables")
    options = parser.parse_args()
    cases, rows = all_cases(), {}
    for part in options.part or PARTS:
        names = [case.name for case in chosen_cases(cases, part, options.every, options.only)]
        rows[part] = done(options.logs / f"{part}.jsonl", train, names, options)
    every_row = {name: row for of_part in rows.values() for name, row in of_part.items()}
    learn = [name for name, row in every_row.items() if row["outcome"] == "learns"]
    stopped = done(options.logs / "auto_stop.jsonl", train_with_auto_stop, learn, options) if options.auto_stop else {}
    tables = [HEAD, counts_table(every_row, stopped)]
    if "healthy" in rows:
        tables.append(healthy_table(rows["healthy"], stopped))
    if "sick" in rows:
        tables.append(sick_table(rows["sick"]))
    text = "\n\n".join(filter(None, [*tables, wrong(every_row)])) + "\n"
    print(text)
    if options.write:
        options.write.write_text(text)


if __name__ == "__main__":
    main()
