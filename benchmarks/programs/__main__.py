"""How often the verdict is right about programs of others, and about faults that raise no error.

``python benchmarks/programs [real] [silent]``

``real``: programs of practitioners with a published fault, in PyTorch, faulty and fixed, and controls without a fault.
``silent``: faults that raise no error, in small nets that otherwise learn.

Every finished training is kept in ``logs/programs``; a run that was stopped resumes. Delete that folder
after a change of the verdicts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

from resumable import Row, work

LOGS = Path(__file__).parents[2] / "logs" / "programs"
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
    return train(plan, int(seed))


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
        keys = [f"{name}/{seed}" for seed in seeds for name in names]
        jobs = [(key, train_key, (part, key)) for key in keys]
        rows = work(chosen.logs / f"{part}.jsonl", jobs, chosen.workers)
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
