"""One pair of processes for all tests of this folder's cases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.conftest import ROOT
from tests.distributed.cases import OPTIMIZERS, STEPS
from tests.distributed.small_fit import fit, model, trainer
from tests.faults import forked

SCRIPT = Path(__file__).with_name("cases.py")
TRAIN = ROOT / "src" / "train.py"


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
    """Runs a script in two processes."""
    with TemporaryDirectory() as folder:
        codes = forked.torchrun(Path(folder), 2, *arguments, script=script)
        assert codes == [0, 0], forked.said(Path(folder))[-3000:]


def torchrun(folder: Path, processes: int, *words: str, script: str | Path = TRAIN) -> tuple[int, str]:
    """Runs a script in processes that torchrun itself starts; its exit code, and what was printed."""
    call = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HYDRA", "GRADVITALS_", "PL_"))}
    env = kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
    done = subprocess.run(
        [*call, str(script), *words], cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False
    )
    return done.returncode, done.stdout + done.stderr
