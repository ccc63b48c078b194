"""Counts calls of Python functions: a guard of speed that needs no clock, and gives the same number on every machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

COUNTS_ITSELF = """
import atexit, os, sys

calls = 0

def count(frame, event, argument):
    global calls
    calls += event == "call"

def write():
    sys.setprofile(None)
    with open(os.environ["CALLS_FILE"], "w") as file:
        file.write(str(calls))

atexit.register(write)
sys.setprofile(count)
"""


def python_calls(function: Callable[[], object]) -> int:
    """Calls a function and returns how many Python functions were called until it returned, itself included."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(None)
    return calls


def python_calls_of_a_script(call: Sequence[str], folder: Path) -> int:
    """Runs ``python CALL`` in a folder and returns how many Python functions were called from start to exit."""
    (folder / "sitecustomize.py").write_text(COUNTS_ITSELF)
    file = folder / "calls.txt"
    path = os.pathsep.join([str(folder), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"PYTHONPATH": path, "CALLS_FILE": str(file)}
    subprocess.run([sys.executable, *call], cwd=folder, env=env, capture_output=True, check=True)
    return int(file.read_text())
