"""How time, memory and files grow with depth and width, and reports with the number of runs.

Each network runs in a process of its own, whose peak of memory is its own; the bare import is taken off. Residual
blocks with LayerNorm, since a thousand layers of BatchNorm would explode.
"""

from __future__ import annotations

import json
import math
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import linear_regression, median

from gradvitals import GradientVitals
from monitor import NEVER, measures, mlp, run

SRC = Path(__file__).parents[2] / "src"
DEPTHS, WIDTHS, RUNS = (10, 100, 1000), (64, 256, 1024, 4096), (10, 200)
STABLE = {"norm": "layer", "block": "residual"}


def network(depth: int, width: int) -> dict[str, float]:
    """An idle step, what a measured one adds (both in ms), the peak of memory (MB) and what an event takes (bytes)."""
    busy = GradientVitals(NEVER, first_steps=0, max_layers=None)
    states = (measures(busy, False), measures(busy, True))
    before = _peak()
    with tempfile.TemporaryDirectory() as folder:
        steps = max(16, min(200, int(2e9 / (depth * width * (width + 2000)))))
        conductor = run(states, steps, [busy], partial(mlp, depth, width=width, **STABLE), warm_up=4, folder=folder)
        size = sum(file.stat().st_size for file in Path(folder).glob("events*"))
    idle, measured = (1e3 * median(seconds) for seconds in conductor.seconds)
    measured_steps = len(conductor.seconds[1]) + 2
    return {"idle": idle, "added": measured - idle, "memory": _peak() - before, "event": size / measured_steps}


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _apart(depth: int, width: int) -> dict[str, float]:
    code = f"import json, growth; print(json.dumps(growth.network({depth}, {width})))"
    folder = Path(__file__).parent
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def slope(x: Sequence[float], y: Sequence[float]) -> float:
    """Of log y over log x, by least squares: 2 for y = x ** 2."""
    return linear_regression([math.log(v) for v in x], [math.log(max(v, 1e-9)) for v in y]).slope


COLUMNS = ("idle", "added", "memory", "event")
HEAD = "idle step, ms | a measured step adds, ms | memory, MB | an event, bytes"


def lines() -> Iterator[str]:
    """The tables."""
    for name, sizes, kind in (("depth", DEPTHS, "100 wide"), ("width", WIDTHS, "3 layers")):
        yield f"| {name} ({kind}) | {HEAD} |\n| --- | --- | --- | --- | --- |"
        rows = [_apart(size, 100) if name == "depth" else _apart(3, size) for size in sizes]
        for size, row in zip(sizes, rows, strict=True):
            yield f"| {size:,} | " + " | ".join(f"{row[key]:,.{0 if key == 'event' else 1}f}" for key in COLUMNS) + " |"
        slopes = [f"{slope(sizes, [row[key] for row in rows]):.2f}" for key in COLUMNS]
        yield "| slope, log over log | " + " | ".join(slopes) + " |\n"
    yield from reports()


def reports() -> Iterator[str]:
    """Pages of many runs, copies of a real one."""
    yield "| runs in a report | seconds | MB |\n| --- | --- | --- |"
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for number in RUNS:
            found.append(_page(Path(folder), number))
            yield f"| {number} | {found[-1][0]:.2f} | {found[-1][1]:.2f} |"
    slopes = [f"{slope(RUNS, column):.2f}" for column in zip(*found, strict=True)]
    yield "| slope, log over log | " + " | ".join(slopes) + " |"


def _page(folder: Path, number: int) -> tuple[float, float]:
    """Seconds of the command, and megabytes of the page."""
    run_dir, copies, page = folder / "run", folder / f"{number}", folder / f"{number}.html"
    if not run_dir.exists():
        _python(SRC / "train.py", "trainer.max_epochs=5", f"hydra.run.dir={run_dir}", cwd=folder)
    for copy in range(number):
        shutil.copytree(run_dir, copies / str(copy), ignore=shutil.ignore_patterns("*.ckpt", "*.png", "*.html"))
    began = time.perf_counter()
    _python(SRC / "report.py", copies, "-o", page, cwd=folder)
    return time.perf_counter() - began, page.stat().st_size / 1e6


def _python(*arguments: object, cwd: Path) -> None:
    subprocess.run([sys.executable, *map(str, arguments)], cwd=cwd, check=True, capture_output=True)
