"""Modules that must not import torch or Lightning: they run before a command knows that it needs them."""

import subprocess
import sys

from tests.conftest import ROOT

LIGHT = (
    "errors",
    "formatting",
    "results.result",
    "results.record",
    "results.objective",
    "results.aggregate",
    "distributed.cluster_environment",
    "checkpoints.locate",
    *(f"app.config.{file.stem}" for file in sorted((ROOT / "src/gradvitals/app/config").glob("[a-z]*.py"))),
    *(f"app.commands.{name}" for name in ("entry_point", "resume", "loading_line", "train", "preflight", "evaluate")),
    "app.run.job",
    "app.run.opening_lines",
    "app.run.environment",
    "app.cure.cure",
    "app.cure.trial",
)


def test_they_import_neither_torch_nor_lightning():
    code = f"""
import importlib, sys
for module in {LIGHT}:
    importlib.import_module(f"gradvitals.{{module}}")
    heavy = [name for name in ("torch", "lightning", "numpy") if name in sys.modules]
    assert not heavy, f"{{module}} imports {{heavy}}"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT / "src", check=False)
    assert done.returncode == 0, done.stderr
