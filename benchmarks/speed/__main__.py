"""What the app costs and what it saves: ``make bench`` or ``python benchmarks/speed [SECTION...]``.

Each section runs in a process of its own and is kept in ``logs/speed``; ``benchmarks/RESULTS.md`` is put together from
them, so that one can be measured anew. Nothing else should run meanwhile.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

FOLDER = Path(__file__).parent
KEPT = FOLDER.parents[1] / "logs" / "speed"
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
    """The same in a process of its own; its lines are shown and kept."""
    print(f"\n## {SECTIONS[section]}", flush=True)
    call = [sys.executable, str(FOLDER), "--in-this-process", section]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as process:
        found = []
        for line in process.stdout or ():
            print(line, end="", flush=True)
            found.append(line)
    if process.returncode:
        raise SystemExit(f"{section}: failed with {process.returncode}")
    KEPT.mkdir(parents=True, exist_ok=True)
    (KEPT / f"{section}.md").write_text(f"Measured on {machine()}.\n\n" + "".join(found))


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


def results() -> str:
    """The page, of the sections that were measured."""
    parts = [
        "# Speed",
        "`make bench` writes this page. Everything that is compared does the same work and takes turns, block by block "
        "or run by run, on the same machine. Ratios below 1 are faster.",
    ]
    for section, title in SECTIONS.items():
        file = KEPT / f"{section}.md"
        parts += [f"## {title}", file.read_text().strip() if file.exists() else "Not measured."]
    return "\n\n".join([*parts, (FOLDER / "tried.md").read_text()])


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; none: all of them")
    parser.add_argument("--in-this-process", action="store_true", help="only print")
    arguments = parser.parse_args()
    if unknown := set(arguments.sections) - set(SECTIONS):
        parser.error(f"expected some of {', '.join(SECTIONS)}; got {', '.join(unknown)}")
    sys.path.insert(0, str(FOLDER))
    for section in arguments.sections or SECTIONS:
        (measure if arguments.in_this_process else measure_apart)(section)
    if not arguments.in_this_process:
        (FOLDER.parent / "RESULTS.md").write_text(results())


if __name__ == "__main__":
    main()
