"""A checkout of its own, in which a test may write what git ignores."""

import os
import shutil
import subprocess
import sys

import pytest

from tests.conftest import CONF, ROOT


@pytest.fixture
def checkout(tmp_path):
    """A checkout with an own package; returns what calls one of its commands from another folder."""
    root, elsewhere = tmp_path / "checkout", tmp_path / "elsewhere"
    shutil.copytree(ROOT / "src", root / "src", ignore=shutil.ignore_patterns("*.egg-info"))
    shutil.copytree(CONF, root / "conf", ignore=shutil.ignore_patterns("local"))
    (root / "src/own_nets.py").write_text("import torch\nclass Net(torch.nn.Linear): ...\n")
    elsewhere.mkdir()

    def run(*words, script="train.py", **environment):
        passed = {key: value for key, value in os.environ.items() if not key.startswith(("HYDRA", "GRADVITALS_"))}
        call = [sys.executable, str(root / "src" / script), *words]
        env = passed | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)} | environment
        env["PYTHONPATH"] = f"{root / 'src'}{os.pathsep}{env['PYTHONPATH']}"
        return subprocess.run(call, cwd=elsewhere, env=env, capture_output=True, text=True, timeout=120, check=False)

    return root, elsewhere, run
