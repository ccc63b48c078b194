"""What the app costs and what it saves: ``make bench`` or ``python benchmarks/speed [SECTION...]``.

Each section runs in a process of its own and takes its place in ``benchmarks/RESULTS.md``; the others stay as they are
there. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from datetime import date
from importlib import import_module
from pathlib import Path

from results_page import with_sections

FOLDER = Path(__file__).parent
PAGE = FOLDER.parent / "RESULTS.md"
SECTIONS = {
    "steps": "A step",
    "usual": "Against what people use",
    "monitor": "The monitor",
    "own_loop": "A loop of one's own",
    "start": "Start",
    "sweeps": "Sweeps",
    "growth": "Growth",
    "gpu": "On a GPU",
}


def measure(section: str) -> None:
    """Print a section's lines, as they come."""
    for line in import_module(section).lines():
        print(line, flush=True)


def measure_apart(section: str) -> None:
    """The same in a process of its own; its lines are shown and written."""
    print(f"\n## {SECTIONS[section]}", flush=True)
    call = [sys.executable, str(FOLDER), "--in-this-process", section]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        found = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            found.append(line)
    if process.returncode:
        raise SystemExit(f"{section}: failed with {process.returncode}")
    measured = {SECTIONS[section]: f"Measured on {date.today()} on {machine()}.\n\n" + "".join(found)}
    end = (FOLDER / "tried.md").read_text()
    PAGE.write_text(with_sections(PAGE.read_text(), list(SECTIONS.values()), measured, end))


def machine() -> str:
    """The machine in one line."""
    import platform

    import torch

    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    cpu = names[0].partition(": ")[2] if names else platform.processor() or platform.machine()
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    load = f"load {os.getloadavg()[0]:.1f}"
    return (
        f"{cpu}, {os.cpu_count()} cores, {gpu}, torch {torch.__version__}, Python {platform.python_version()}, {load}"
    )


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; none: all of them")
    parser.add_argument("--in-this-process", action="store_true", help="only print")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"expected some of {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    for section in arguments.sections or SECTIONS:
        (measure if arguments.in_this_process else measure_apart)(section)


if __name__ == "__main__":
    main()
