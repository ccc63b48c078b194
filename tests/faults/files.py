"""The folder in which drawn commands run, and what may be wrong with how one ended."""

from __future__ import annotations

import json
import math
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np

from tests.faults.as_typed import Ended

WORDS = ("red", "green", "blue")
ENDS = ("completed", "stopped", "diverged")


def fill(folder: Path) -> None:
    """A small table, and images in the format of MNIST's files."""
    rng = np.random.default_rng(0)
    lines = [f"{x:.3f},{WORDS[i % 3]},{i % 2}" for i, x in enumerate(rng.normal(size=60))]
    (folder / "table.csv").write_text("\n".join(["x,word,y", *lines]) + "\n")
    for name in ("MNIST", "FashionMNIST"):
        for part, rows in (("train", 60), ("t10k", 20)):
            write_idx(folder / f"{name}/raw/{part}-images-idx3-ubyte", rng.integers(0, 256, (rows, 28, 28)))
            write_idx(folder / f"{name}/raw/{part}-labels-idx1-ubyte", np.arange(rows) % 10)


def write_idx(path: Path, array: np.ndarray) -> None:
    """The format of the MNIST files: magic number, sizes, bytes."""
    header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def verdict(ended: Ended, folder: Path, before: set[Path], steps: float = math.inf) -> str | None:
    """What is wrong with how a command ended that may train so many steps; None: nothing."""
    if "Traceback" in ended.out + ended.err:
        return "a traceback"
    made = {path for path in folder.rglob("*") if path.is_file() or path.parent.name == "runs"} - before
    return _of_result(made, steps) if ended.code == 0 else _of_refusal(ended, made)


def _of_refusal(ended: Ended, made: set[Path]) -> str | None:
    lines = [line for line in ended.err.splitlines() if line.startswith("gradvitals: ")]
    if ended.code != 1 or len(lines) != 1:
        return f"exit code {ended.code}, {len(lines)} lines"
    if made:
        return f"left {sorted(made)[-1]}"
    if "HYDRA_FULL_ERROR" in ended.err:
        return "an error that only a traceback explains"
    if ended.err.count("\n") > 2 or not re.search(r"[\w.]+", lines[0]):
        return "more than two lines"
    return None


def _of_result(made: set[Path], steps: float) -> str | None:
    results = [path for path in made if path.name == "result.json"]
    if len(results) != 1:
        return f"{len(results)} results"
    found = json.loads(results[0].read_text(), parse_constant=_refuse)
    if found["status"] not in ENDS or found["steps"] > steps:
        return f"{found['status']} after {found['steps']} steps"
    return None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} in a result")
