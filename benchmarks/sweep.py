"""How much a sweep adds to its trainings: ``python benchmarks/sweep.py``.

Jobs of the default net on digits that differ in their seed, one after the other in one process and by two workers. What
a job costs beyond its training is the time from one job's beginning to the next one's, less the fit.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

TRAIN = Path(__file__).parents[1] / "src" / "train.py"
WORKERS = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def sweep(jobs: int, words: tuple[str, ...], folder: Path) -> tuple[float, list[Path]]:
    """Seconds of the whole command, and the jobs' directories by their beginning."""
    seeds = ",".join(map(str, range(jobs)))
    began = time.perf_counter()
    call = [sys.executable, str(TRAIN), "-m", f"seed={seeds}", *words]
    subprocess.run(call, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    (sweep_dir,) = (folder / "logs/train/multiruns").iterdir()
    return seconds, sorted((file.parents[1] for file in sweep_dir.glob("*/.hydra/config.yaml")), key=_began)


def _began(run_dir: Path) -> float:
    return (run_dir / ".hydra/config.yaml").stat().st_mtime


def beyond_training(runs: list[Path]) -> list[float]:
    """Of each job but the first, which waits for imports, and the last: seconds until the next, less the fit."""
    fits = [json.loads((run / "result.json").read_bytes())["seconds"] for run in runs]
    starts = [_began(run) for run in runs]
    return [starts[i + 1] - starts[i] - fits[i] for i in range(1, len(runs) - 1)]


def main() -> None:
    """Run both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=24)
    jobs = parser.parse_args().jobs
    seconds = {}
    for name, words in (("one process", ()), ("two workers", WORKERS)):
        with tempfile.TemporaryDirectory() as folder:
            seconds[name], runs = sweep(jobs, words, Path(folder))
            print(
                f"{name}: {jobs} jobs in {seconds[name]:.1f} s, {60 * jobs / seconds[name]:.1f} jobs a minute",
                flush=True,
            )
            if not words:
                costs = sorted(beyond_training(runs))
                print(
                    f"  a job beyond its training: median {median(costs):.2f} s, at most {costs[-1]:.2f} s", flush=True
                )
    print(f"two workers: {seconds['one process'] / seconds['two workers']:.2f} times the throughput of one process")


if __name__ == "__main__":
    main()
