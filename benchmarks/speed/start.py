"""Seconds from the command to its first use, beside the bare import of what it needs.

``bare`` is a process that imports torch and Lightning; the first step is the end of the first training batch of the
default command, after which the process is ended at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from results_page import goal

FOLDER = Path(__file__).parent
SRC, CONF = FOLDER.parents[1] / "src", FOLDER.parents[1] / "conf"
ROUNDS = 5
EMPTY = """
import hydra
@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(config): ...
main()
"""
FIRST_STEP = "+callbacks.first_step._target_=first_step.FirstStep"
LAZY_IMPORTS = "from gradvitals.app.run.lazy_imports import import_lightning; import_lightning()"


def empty_app(folder: Path) -> Path:
    """A Hydra app that does nothing, with as many groups and options as ours."""
    defaults = ["defaults:"]
    for group in sorted({file.parent for file in CONF.glob("*/*.yaml")}):
        (folder / "conf" / group.name).mkdir(parents=True)
        options = sorted(group.glob("*.yaml"))
        for option in options:
            (folder / "conf" / group.name / option.name).write_text("x: 1\n")
        defaults.append(f"  - {group.name}: {options[0].stem}")
    (folder / "conf/train.yaml").write_text("\n".join(defaults) + "\n")
    (folder / "app.py").write_text(EMPTY)
    return folder / "app.py"


def seconds(arguments: list[str], folder: str) -> float:
    """Of a whole command."""
    environment = os.environ | {"GRADVITALS_ALLOW": "first_step", "PYTHONPATH": f"{FOLDER}{os.pathsep}{SRC}"}
    began = time.perf_counter()
    call = [sys.executable, *arguments]
    subprocess.run(call, cwd=folder, env=environment, check=True, capture_output=True)
    return time.perf_counter() - began


def lines() -> Iterator[str]:
    """Both tables."""
    train, preflight = str(SRC / "train.py"), str(SRC / "preflight.py")
    with tempfile.TemporaryDirectory() as folder:
        app = str(empty_app(Path(folder)))
        commands = {
            "bare import": ["-c", "import torch, lightning; import os; os._exit(0)"],
            "lazy imports": ["-c", f"{LAZY_IMPORTS}; import os; os._exit(0)"],
            "first step": [train, FIRST_STEP],
            "preflight": [preflight],
            "empty --help": [app, "--help"],
            "--help": [train, "--help"],
            "empty --cfg": [app, "--cfg", "job"],
            "--cfg": [train, "--cfg", "job"],
        }
        rounds = [{name: seconds(call, folder) for name, call in commands.items()} for _ in range(ROUNDS + 1)][1:]
    took = {name: median(row[name] for row in rounds) for name in commands}
    bare = took["bare import"]
    yield f"Medians of {ROUNDS} rounds, in turn. The bare import of torch and Lightning takes {bare:.2f} s.\n"
    yield "| | seconds | after the bare import | goal |\n| --- | --- | --- | --- |"
    lazy = took["lazy imports"]
    yield f"| torch and Lightning with lazy imports | {lazy:.2f} | {lazy - bare:+.2f} | |"
    for name in ("first step", "preflight"):
        after = median(row[name] - row["bare import"] for row in rounds)
        what = "first training step" if name == "first step" else "`preflight`, to its end"
        yield f"| {what} | {took[name]:.2f} | **{after:+.2f}** | {goal(after, most=1)} |"
    yield "\n| | seconds | of an empty Hydra app | goal |\n| --- | --- | --- | --- |"
    for name in ("--help", "--cfg"):
        ratio = median(row[name] / row[f"empty {name}"] for row in rounds)
        shown = "--cfg job" if name == "--cfg" else name
        yield f"| `{shown}` | {took[name]:.2f} | **{ratio:.2f}** | {goal(ratio, most=1.3)} |"
