"""What a user's ``mypy --strict`` says of a program that uses the installed package."""

import subprocess
import sys

from tests.conftest import ROOT

PROGRAM = """
import torch
from lightning import Trainer
from torch import nn

import gradvitals
from gradvitals.diagnosis.history import History, Observation, Subject

model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
batch = (torch.randn(4, 8), torch.zeros(4, dtype=torch.long))
print(gradvitals.preflight(model, batch, nn.functional.cross_entropy))

monitor: gradvitals.GradientVitals = gradvitals.GradientVitals(every_n_steps=10, auto_stop=True)
trainer = Trainer(callbacks=[monitor, gradvitals.GradientPicture("picture.png")])
verdict: str = monitor.diagnosis.verdict
first: float = monitor.start["grad_norm/total"]
losses = [Observation(step, 50, loss=2.3, worst=2.4) for step in (0, 50)]
found: str = gradvitals.diagnose(History(Subject(chance=2.3), losses)).verdict
"""


UNTYPED = "[mypy]\n[mypy-accelerate.*]\nignore_missing_imports = True\n"  # Accelerate brings no types, so that nothing else helps


def strict(environment, folder, *files):
    """mypy's answer in an environment that contains the wheel, not the checkout."""
    (folder / "mypy.ini").write_text(UNTYPED)
    python = environment("app", others=("transformers", "accelerate")).python
    call = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", folder, *files]
    return subprocess.run(call, cwd=folder, capture_output=True, text=True, timeout=280, check=False)


def test_programs_and_examples_are_strictly_typed(environment, tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "wrong.py").write_text(
        "import gradvitals\n\nverdict: int = gradvitals.GradientVitals().diagnosis.verdict\n"
    )
    examples = sorted((ROOT / "examples").glob("*.py"))
    done = strict(environment, tmp_path, "program.py", *examples)
    assert done.returncode == 0, done.stdout + done.stderr
    done = strict(environment, tmp_path, "wrong.py")  # else the types would not have been read
    assert 'expression has type "str"' in done.stdout
