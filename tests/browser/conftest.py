"""One browser for all tests here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest

from gradvitals.app.config.overrides import slug
from tests.app.commands.test_board import address_of
from tests.conftest import ROOT


@pytest.fixture(scope="session")
def chromium():
    """Chromium without a window; where it is not installed tests are skipped, or fail if they are required."""
    try:
        from playwright import sync_api
    except ModuleNotFoundError:
        _missing("playwright: expected it in this environment")
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        _missing("a browser: expected chromium or google-chrome on the path")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def _missing(reason: str) -> NoReturn:
    if os.environ.get("GRADVITALS_REQUIRE_BROWSER"):
        pytest.fail(f"{reason}, as GRADVITALS_REQUIRE_BROWSER is set")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def two_runs(chromium, tmp_path_factory) -> tuple[Path, Path]:
    """A sick deep net and a healthy one, trained side by side from the command line: their run directories."""
    folder = tmp_path_factory.mktemp("board")
    typed = (["act=sigmoid", "model.depth=12"], ["model=bn", "act=elu"])
    calls = [[sys.executable, str(ROOT / "src/train.py"), "trainer.max_epochs=3", *words] for words in typed]
    env = {key: value for key, value in os.environ.items() if not key.startswith(("HYDRA", "GRADVITALS_"))}
    runs = [subprocess.Popen(call, cwd=folder, env=env, stdout=subprocess.DEVNULL) for call in calls]
    assert [run.wait(timeout=240) for run in runs] == [0, 0]
    (sick,), (healthy,) = (list((folder / "logs/train/runs").glob(f"*{slug(words)}_*")) for words in typed)
    return sick, healthy


@pytest.fixture(scope="session")
def board(two_runs) -> Iterator[str]:
    """TensorBoard on both runs: its address."""
    with tensorboard(two_runs[0].parents[2]) as address:
        yield address


@contextmanager
def tensorboard(logs: Path) -> Iterator[str]:
    """Serves the runs in a folder, all of them read before the first answer, on a free port."""
    options = ["--host=localhost", "--port=0", "--load_fast=false", "--reload_interval=0", "--reload_task=blocking"]
    call = [sys.executable, "-m", "tensorboard.main", f"--logdir={logs}", *options]
    with subprocess.Popen(call, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield address_of(process, r"(http://\S+)")
        finally:
            process.kill()  # it has no files of its own, and can lose a SIGTERM
