"""Jobs of a benchmark that run in parallel and are kept one by one, so that a run that was stopped resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed

Row = dict[str, Any]
Job = tuple[str, Callable[..., Row], tuple]  # key, function, arguments


def finished(file: Path) -> dict[str, Row]:
    """The rows that were finished before, by key; a line that was cut off is left out."""
    rows = {}
    for line in file.read_text().splitlines() if file.exists() else ():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["key"]] = row
    return rows


def work(file: Path, jobs: Iterable[Job], workers: int, again: bool = False) -> dict[str, Row]:
    """Do what is not yet done, in parallel, and keep each row as it comes.

    Args:
        file: of the rows, one JSON a line.
        again: whether to do what was finished before, too.

    Returns:
        The rows of the file, by key.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = finished(file)
    left = [job for job in jobs if again or job[0] not in rows]
    began = time.perf_counter()
    results = Parallel(n_jobs=workers, return_as="generator_unordered")(delayed(_keyed)(*job) for job in left)
    with file.open("a") as out:
        for done, row in enumerate(results, 1):
            rows[row["key"]] = row
            out.write(json.dumps(row) + "\n")
            out.flush()
            rest = (time.perf_counter() - began) / done * (len(left) - done)
            print(f"{file.stem} {done}/{len(left)}, {rest:.0f} s left: {row['key']}", flush=True)
    return rows


def _keyed(key: str, function: Callable[..., Row], arguments: tuple) -> Row:
    return {"key": key} | function(*arguments)
