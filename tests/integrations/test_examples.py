"""The examples run, say what they found, and are typed as strictly as mypy can check."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
ALONE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
MOST_LINES = 25  # that contain code


def test_there_is_an_example_of_each_loop():
    assert {file.stem for file in EXAMPLES} == {
        "accelerate_loop",
        "fabric_loop",
        "hugging_face_trainer",
        "lightning_callback",
        "plain_loop",
    }


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_example(file, tmp_path):
    environment = os.environ | ALONE | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, file], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip().splitlines()[-1]
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_example_is_short(file):
    assert len([line for line in file.read_text().splitlines() if line.strip()]) <= MOST_LINES


@pytest.mark.slow
@pytest.mark.timeout(900)  # mypy reads torch and transformers
def test_examples_are_typed():
    """Of the packages that they use, some have no types."""
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--ignore-missing-imports",
        "--follow-imports=silent",
        "--config-file=",
        *EXAMPLES,
    ]
    environment = os.environ | {"MYPYPATH": str(ROOT / "src")}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout
