"""One pair of processes for all tests of this folder's cases."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.distributed.cases import OPTIMIZERS, STEPS
from tests.distributed.small_fit import fit, model, trainer
from tests.faults import forked

SCRIPT = Path(__file__).with_name("cases.py")


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
