"""The examples run, end with the right verdict, and are typed as strictly as mypy can check."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat
import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
NOTEBOOK = ROOT / "examples/notebook.ipynb"
ALONE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "OMP_NUM_THREADS": "1"}
MOST_LINES = 40  # that contain code
# All learn. What a GAN makes scatters, so that its metric may show that with too little certainty.
VERDICTS = {file.stem: {"healthy"} for file in EXAMPLES} | {"gan_manual_optimization": {"healthy", "undecided"}}


def test_there_is_an_example_of_each_habit():
    assert {file.stem for file in (ROOT / "examples").iterdir()} == {
        "accelerate_loop",
        "cnn_in_lightning",
        "fabric_loop",
        "gan_manual_optimization",
        "hugging_face_trainer",
        "notebook",
        "plain_loop",
        "transformer_language_model",
    }


LONG = ("gan_manual_optimization", "hugging_face_trainer", "transformer_language_model")


@pytest.mark.parametrize(
    "file", [pytest.param(file, id=file.stem, marks=[pytest.mark.slow] * (file.stem in LONG)) for file in EXAMPLES]
)
def test_example(file, tmp_path):
    (folder := tmp_path / "here").mkdir()
    environment = os.environ | ALONE | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(tmp_path)}
    run = subprocess.run([sys.executable, file], cwd=folder, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr
    (verdict,) = re.findall(r"^verdict +(\w+)", run.stdout, re.MULTILINE)
    assert verdict in VERDICTS[file.stem], run.stdout
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_the_notebook(monkeypatch):
    """Ends with both verdicts, and is kept without outputs."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(NOTEBOOK, 4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=240, kernel_name="python3").execute()
    assert notebook.cells[-1].outputs[-1].text == "sigmoid: vanishing, relu: healthy\n"


def test_examples_are_short():
    cells = [cell.source for cell in nbformat.read(NOTEBOOK, 4).cells if cell.cell_type == "code"]
    sources = {file.stem: file.read_text() for file in EXAMPLES} | {"notebook": "\n".join(cells)}
    lines = {name: len([line for line in source.splitlines() if line.strip()]) for name, source in sources.items()}
    assert max(lines.values()) <= MOST_LINES, lines


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
