"""The archives, built once from what git tracks, and environments into which the wheel is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.install import linked


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel that is built from it, without a network."""
    source = tmp_path_factory.mktemp("source") / "checkout"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("not a git repository")
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    for name in (
        "logs/train/runs/mine/result.json",
        "conf/local/default.yaml",
        "conf/experiment/cured/mine.yaml",
        ".env",
        "src/gradvitals/logs/mine.json",
    ):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).touch()  # what is nobody else's business
    call = [sys.executable, "-m", "build", "--no-isolation", str(source)]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return source / "dist"


@dataclass(frozen=True)
class Environment:
    """An environment into which the wheel is installed."""

    python: Path

    def run(self, code: str, *, cwd: Path, warnings: str = "error") -> subprocess.CompletedProcess[str]:
        """Run a program."""
        return self._call(["-W", warnings, "-c", code], cwd)

    def gradvitals(
        self, *words: str, cwd: Path, importtime: bool = False, checkout: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run the console script, which pip would write; of a checkout that was installed as editable, if one is given."""
        path = f"sys.path.insert(0, {str(checkout / 'src')!r}); " if checkout else ""
        run = "from gradvitals.app.commands.console import main; sys.argv[0] = 'gradvitals'; main()"
        code = f"import sys; {path}{run}"
        return self._call([*(["-X", "importtime"] if importtime else []), "-c", code, *words], cwd)

    def script(self, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run ``python WORDS`` as a user does: the folder of a script is on the path."""
        return self._call(list(words), cwd, isolated=False)

    def _call(self, words: list[str], cwd: Path, isolated: bool = True) -> subprocess.CompletedProcess[str]:
        left_out = ("GRADVITALS_", "HYDRA", "PYTHON", "PYTEST")
        passed = {key: value for key, value in os.environ.items() if not key.startswith(left_out)}
        call = [self.python, *(["-I"] if isolated else []), *words]
        return subprocess.run(call, cwd=cwd, env=passed, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="session")
def environment(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Environment]:
    """Makes the environment of ``pip install gradvitals``, or with some extras, and with others beside it."""
    (wheel,) = archives.glob("*.whl")

    @cache
    def made(*extras: str, others: tuple[str, ...] = ()) -> Environment:
        return Environment(linked.make(tmp_path_factory.mktemp("environment"), wheel, extras, others))

    return made
