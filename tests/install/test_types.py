"""What a user's ``mypy --strict`` says of a program that uses the installed package."""

import subprocess
import sys

import pytest

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


# Accelerate and scikit-learn bring no types, so that nothing else helps.
UNTYPED = "[mypy]\n" + "".join(
    f"[mypy-{name}.*]\nignore_missing_imports = True\n" for name in ("accelerate", "sklearn")
)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_programs_and_examples_are_strictly_typed(environment, tmp_path):
    """Read from the installed wheel, and not from the checkout."""
    wrong = "import gradvitals\n\nverdict: int = gradvitals.GradientVitals().diagnosis.verdict\n"
    for name, text in (("program.py", PROGRAM), ("wrong.py", wrong), ("mypy.ini", UNTYPED)):
        (tmp_path / name).write_text(text)
    examples = sorted((ROOT / "examples").glob("*.py"))
    python = environment("app", others=("transformers", "accelerate")).python
    call = [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", tmp_path]
    call += ["program.py", "wrong.py", *examples]
    done = subprocess.run(call, cwd=tmp_path, capture_output=True, text=True, check=False)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert len(errors) == 1, done.stdout + done.stderr
    assert errors[0].startswith("wrong.py:3:")  # else the types of the package have not been read
    assert 'expression has type "str"' in errors[0]
