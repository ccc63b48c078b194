"""What ``make`` installs and when, with stubs in place of Python and of what it installs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

# A Python that writes down its arguments, and whose `-m venv` makes another one like itself.
STUB = """#!/bin/sh
echo "$@" >> calls
case "$1 $2" in
  "-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && cp "$0" "$3/bin/ruff" && cp "$0" "$3/bin/mypy";;
esac
"""
TRAINING, TOOLS = "--editable .[app]", "--editable .[app,dev]"


@pytest.fixture
def project(tmp_path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "python").write_text(STUB)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def called(project: Path, *words: str) -> list[str]:
    """What a `make` calls, one line for each program."""
    (project / "calls").unlink(missing_ok=True)
    subprocess.run(["make", f"PYTHON={project}/python", *words], cwd=project, check=True, capture_output=True)
    return (project / "calls").read_text().splitlines() if (project / "calls").exists() else []


def installed(project: Path, *words: str) -> list[str]:
    pip = [call for call in called(project, *words) if "pip install" in call]
    assert all("--constraint constraints.txt" in call and "--quiet" not in call for call in pip)  # with progress
    return [call[call.index("--editable") :] for call in pip]


def test_a_training_installs_what_it_needs_once(project):
    assert installed(project, "train") == [TRAINING]
    assert called(project, "train", "ARGS=model=bn") == ["src/train.py model=bn"]


@pytest.mark.parametrize("target", ["test", "test-slow", "check", "bench", "setup"])
def test_the_tools_of_the_tests_come_on_top(project, target):
    assert installed(project, target) == [TRAINING, TOOLS]
    assert installed(project, target) == []
    assert installed(project, "train") == []


def test_after_a_training_a_test_installs_its_tools_alone(project):
    called(project, "train")
    assert installed(project, "test") == [TOOLS]


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_both_are_installed_anew_when_what_is_required_changes(project, name):
    called(project, "test")
    later = (project / ".venv/.ready-dev").stat().st_mtime + 5
    os.utime(project / name, (later, later))
    assert installed(project, "train") == [TRAINING]
    os.utime(project / ".venv/.ready", (later + 1, later + 1))  # its own time is before the one that was written above
    assert installed(project, "train") == []
    assert installed(project, "test") == [TOOLS]


def test_clean_removes_it(project):
    called(project, "test")
    called(project, "clean")
    assert not (project / ".venv").exists()
    assert installed(project, "train") == [TRAINING]
