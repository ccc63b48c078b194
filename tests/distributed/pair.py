"""One pair of processes for all tests of this folder's cases: starting one takes ten seconds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.distributed.cases import OPTIMIZERS, STEPS
from tests.distributed.small_fit import fit, model, trainer

SCRIPT = Path(__file__).with_name("cases.py")
ROOT = SCRIPT.parents[2]


class Pair:
    """What two processes found (``found``), and the folder in which their checkpoints lie."""

    def __init__(self) -> None:
        self._place = TemporaryDirectory()
        self.folder = Path(self._place.name)
        for name, optimizer in OPTIMIZERS.items():
            fit(model(optimizer=optimizer), trainer("one", STEPS, saves=self.folder / f"one-{name}"), STEPS)
        launch(SCRIPT, str(self.folder))
        self.found: dict[str, Any] = json.loads((self.folder / "found.json").read_text())


@cache
def pair() -> Pair:
    """The one of this process, started when it is first asked for."""
    return Pair()


def launch(script: Path, *arguments: str) -> None:
    """Run a script in two processes."""
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(script)]
    environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*call, *arguments], capture_output=True, text=True, timeout=240, env=environment, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
