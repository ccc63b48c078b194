"""Tab completion: Hydra's query, and its function in a real bash."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

TAB = """
eval "$(python src/train.py -sc install=bash)"
COMP_LINE="python src/train.py $TYPED"; COMP_CWORD=2
hydra_bash_completion
echo "${COMPREPLY[@]}"
"""
TYPED = {
    "model=": "model=bn model=cnn model=gn model=gru model=instance model=ln model=lstm model=plain model=prenorm "
    "model=residual model=rezero model=rms model=rnn model=skip",
    "act=e": "act=elu act=erf act=exponential",
    "model.de": "model.depth=",
}


@pytest.mark.parametrize("typed", TYPED)
def test_the_query(command, typed):
    done = command("-sc", "query=bash", COMP_LINE=f"python src/train.py {typed}")
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, TYPED[typed], "")


@pytest.mark.skipif(not shutil.which("bash"), reason="bash")
def test_in_bash():
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", TAB], cwd=ROOT, env=os.environ | {"TYPED": "act=e", "PATH": path}, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "act=elu act=erf act=exponential\n", "")
