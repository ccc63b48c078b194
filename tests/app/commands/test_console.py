"""``gradvitals COMMAND`` of a checkout: what the script of that name does, from any folder."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gradvitals import __version__
from gradvitals.app.commands.console import ABOUT
from gradvitals.app.commands.script import COMMANDS as NAMES
from tests.app.commands.test_loading_line import COMMANDS, HEAVY, on_a_terminal
from tests.conftest import ROOT

# What pip writes for an entry point, but for the first line.
SCRIPT = "import sys\nfrom gradvitals.app.commands.console import main\nsys.exit(main())\n"
SHORT = ("trainer.max_epochs=1", "trainer.accelerator=cpu", "report=false")
Command = Callable[..., subprocess.CompletedProcess]


@pytest.fixture
def installed(tmp_path) -> Path:
    file = tmp_path / "bin" / "gradvitals"
    file.parent.mkdir()
    file.write_text(SCRIPT)
    return file


@pytest.fixture
def gradvitals(installed, tmp_path) -> Command:
    """Run ``gradvitals`` in an empty folder."""
    passed = {key: value for key, value in os.environ.items() if not key.startswith(("HYDRA", "GRADVITALS_"))}
    (tmp_path / "here").mkdir()

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
        call, env = [sys.executable, str(installed), *words], passed | environment
        return subprocess.run(
            call, cwd=tmp_path / "here", env=env, capture_output=True, text=True, timeout=200, check=False
        )

    return run


def statuses(folder: Path) -> dict[str, str]:
    return {file.parent.name: json.loads(file.read_text())["status"] for file in folder.rglob("result.json")}


def test_there_is_a_command_for_each_script():
    assert set(NAMES) == {file.stem for file in (ROOT / "src").glob("*.py")}
    assert list(ABOUT) == ["new", *NAMES]


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_lists_them(gradvitals, words):
    done = gradvitals(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(f"\n  {name} " in done.stdout for name in ABOUT)
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_version(gradvitals):
    assert gradvitals("--version").stdout == f"gradvitals {__version__}\n"


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("trian", "'trian': no such command; did you mean train?"),
        ("model=bn", f"'model=bn': no such command; expected {', '.join(ABOUT)}"),
    ],
)
def test_another_word_is_one_line(gradvitals, word, expected):
    done = gradvitals(word)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"gradvitals: {expected}\n")


@pytest.mark.parametrize("script", COMMANDS)
def test_the_first_line_comes_before_anything_heavy_is_imported(installed, script, tmp_path):
    word, what = COMMANDS[script]
    found = on_a_terminal(str(installed), script.removesuffix(".py"), word, cwd=tmp_path, PYTHONPROFILEIMPORTTIME="1")
    lines = found[1]
    (first,) = (number for number, line in enumerate(lines) if line.startswith("loading "))
    assert lines[first] == f"loading      {what} ..."
    assert not {line.rpartition("|")[2].strip() for line in lines[:first]} & HEAVY
    assert lines[-1].startswith("gradvitals: ")


def test_a_run_is_trained_made_longer_tested_and_reported(gradvitals, tmp_path):
    assert gradvitals("train", *SHORT).returncode == 0
    assert gradvitals("train", "resume=latest", "trainer.max_epochs=2").returncode == 0
    ((run, status),) = statuses(tmp_path / "here").items()
    assert status == "completed"
    folder = next((tmp_path / "here").rglob(run))
    assert json.loads((folder / "result.json").read_text())["epochs"] == 2
    assert "test/loss" in gradvitals("eval", str(folder)).stdout
    assert gradvitals("report", str(folder)).stdout.startswith("report ")
    assert gradvitals("export", str(folder)).stdout.startswith("weights ")


COMPLETED = {
    "gradvitals ": "new\ntrain\npreflight\ncure\neval\npredict\nexport\nreport\nboard",
    "gradvitals tr": "new\ntrain\npreflight\ncure\neval\npredict\nexport\nreport\nboard",  # of which the shell chooses
    "gradvitals train act=e": "act=elu act=erf act=exponential",
    "gradvitals report ": "",  # the shell completes files
}


@pytest.mark.parametrize("line", COMPLETED)
def test_tab_completes_commands_and_then_options(gradvitals, line):
    assert gradvitals("-sc", "query=bash", COMP_LINE=line).stdout.strip() == COMPLETED[line]


def test_exit_codes(gradvitals):
    assert gradvitals("train", "modle=bn").returncode == 1
    assert gradvitals("train", "--cfg", "job").returncode == 0
    assert gradvitals("eval").returncode == 2
    assert gradvitals("eval", "nowhere").returncode == 1
    assert gradvitals("preflight", "act=sigmoid", "model.depth=3", "trainer.accelerator=cpu").returncode == 0


def test_a_sweep(gradvitals, tmp_path):
    done = gradvitals("train", "-m", "seed=0,1", *SHORT)
    assert done.returncode == 0, done.stderr
    assert list(statuses(tmp_path / "here").values()) == ["completed", "completed"]
    (sweep,) = (file.parent for file in (tmp_path / "here").rglob("sweep.csv"))
    done = gradvitals("train", f"resume_sweep={sweep}")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("words", [["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"], ["trainer=ddp_cpu"]])
def test_a_sweep_whose_jobs_run_in_processes_of_their_own(gradvitals, tmp_path, words):
    done = gradvitals("train", "-m", "seed=0,1", *words, *(word for word in SHORT if "accelerator" not in word))
    assert done.returncode == 0, done.stderr
    assert list(statuses(tmp_path / "here").values()) == ["completed", "completed"]
