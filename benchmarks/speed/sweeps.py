"""How much a sweep adds to its trainings.

Jobs of the default net on digits that differ in their seed, one after the other in one process and by two workers,
forked ones and joblib's, beside the sum of their bare training loops. What a job costs beyond its training is the time
from one job's beginning to the next one's, less the fit.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from results_page import goal
from turns import HandWritten, assemble, begin, settings

from gradvitals.results.result import Result

TRAIN = Path(__file__).parents[2] / "src" / "train.py"
SWEEPS = {  # name -> words, workers and the goal: seconds over those of the hand-written loops one after the other
    "one process": ((), 1, 1.6),
    "two forked workers": (("hydra/launcher=fork", "hydra.launcher.n_jobs=2"), 2, 0.85),
    "two workers of joblib": (("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"), 2, None),
}
JOBS, EPOCHS, STEPS = 24, 20, 40  # steps of an epoch: 1,257 digits by 32


def sweep(words: tuple[str, ...], folder: Path) -> tuple[float, list[Path]]:
    """Seconds of the whole command, and the jobs' directories by their beginning."""
    seeds = ",".join(map(str, range(JOBS)))
    began = time.perf_counter()
    call = [sys.executable, str(TRAIN), "-m", f"seed={seeds}", *words]
    subprocess.run(call, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    seconds = time.perf_counter() - began
    (sweep_dir,) = (folder / "logs/train/multiruns").iterdir()
    return seconds, sorted((file.parents[1] for file in sweep_dir.glob("*/.hydra/config.yaml")), key=_began)


def _began(run_dir: Path) -> float:
    return (run_dir / ".hydra/config.yaml").stat().st_mtime


def fit_seconds(runs: list[Path]) -> list[float]:
    """Of each job's own fit."""
    return [Result.read(run).seconds for run in runs]


def beyond_training(runs: list[Path]) -> list[float]:
    """Of each job but the first, which waits for imports, and the last: seconds until the next, less the fit."""
    fits, starts = fit_seconds(runs), [_began(run) for run in runs]
    return sorted(starts[i + 1] - starts[i] - fits[i] for i in range(1, len(runs) - 1))


def bare_loops() -> float:
    """Seconds of the loops that people would write, one after the other."""
    hands = [HandWritten(assemble(settings(f"seed={seed}"))) for seed in range(JOBS)]
    hands[0].steps(STEPS)
    began = time.perf_counter()
    for hand in hands:
        hand.steps(EPOCHS * STEPS)
    return time.perf_counter() - began


def lines() -> Iterator[str]:
    """The table."""
    begin()
    loops = [bare_loops()]
    seconds, beyond, fits = {}, [], 0.0
    for name, (words, _, _) in SWEEPS.items():
        with tempfile.TemporaryDirectory() as folder:
            seconds[name], runs = sweep(words, Path(folder))
            beyond, fits = beyond or beyond_training(runs), fits or sum(fit_seconds(runs))
            yield f"{name}: the fits of all jobs take {sum(fit_seconds(runs)):.1f} s.  "
        loops.append(bare_loops())
    bare = median(loops)
    rate = f"{60 * JOBS / bare:.0f} jobs a minute"
    yield f"\n{JOBS} jobs; their hand-written loops take {bare:.1f} s one after the other, {rate}.\n"
    yield "| | seconds, start-up and all | jobs a minute | over the hand-written loops | on as many workers | goal |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for name, (_, workers, most) in SWEEPS.items():
        took = seconds[name]
        over = f"{took / bare:.2f} | {workers * took / bare:.2f}"
        yield f"| {name} | {took:.1f} | {60 * JOBS / took:.0f} | {over} | {goal(took / bare, most) if most else ''} |"
    one, two, _ = seconds.values()
    yield f"\nTwo forked workers are {one / two:.2f} times as fast as one process."
    yield "\n| | median | at most | goal |\n| --- | --- | --- | --- |"
    shown = f"{median(beyond):.2f} s | {beyond[-1]:.2f} s"
    yield f"| a job beyond its training, in one process | {shown} | {goal(median(beyond), most=0.1)} |"
    yield f"| a job's fit over its bare loop, in one process | {fits / bare:.2f} | | {goal(fits / bare, most=1.3)} |"
