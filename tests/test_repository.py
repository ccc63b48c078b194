"""What the repository contains, and that every command can be imported on Windows too."""

import ast
import subprocess

import pytest

from tests.conftest import ROOT

# What is at the top level on purpose; a file that a run left there is not.
FOLDERS = {".ci", ".github", "benchmarks", "conf", "docs", "examples", "src", "tests"}
FILES = {
    ".gitignore",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "Makefile",
    "README.md",
    "constraints.txt",
    "pyproject.toml",
    "setup.py",
}
POSIX_MODULES = {"fcntl", "grp", "posix", "pwd", "resource", "termios", "tty"}
POSIX_NAMES = {
    "os": {"fork", "getuid", "geteuid", "killpg", "setsid", "sync", "statvfs"},
    "signal": {"SIGALRM", "SIGCHLD", "SIGCONT", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGUSR2", "setitimer"},
}
MODULES = sorted((ROOT / "src").rglob("*.py"))


def test_the_top_level_contains_what_was_put_there_on_purpose():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git repository")
    assert {path.partition("/")[0] for path in listed.stdout.splitlines()} <= FOLDERS | FILES


def test_git_ignores_what_commands_write_into_the_repository():
    """``cure.py`` writes experiments, which Hydra finds only among the configs."""
    for path in ("conf/experiment/cured/it.yaml", "logs/train/runs/report.html"):
        found = subprocess.run(["git", "check-ignore", path], cwd=ROOT, capture_output=True, check=False)
        if found.returncode == 128:
            pytest.skip("not a git repository")
        assert found.returncode == 0, path


def posix_only(source: str) -> set[str]:
    """The modules and names in a source that Windows does not have."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names} & POSIX_MODULES
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module} & POSIX_MODULES
            found |= {alias.name for alias in node.names} & POSIX_NAMES.get(str(node.module), set())
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found |= {node.attr} & POSIX_NAMES.get(node.value.id, set())
    return found


def test_nothing_needs_posix():
    assert {file.name: found for file in MODULES if (found := posix_only(file.read_text(encoding="utf-8")))} == {}


@pytest.mark.parametrize(
    "line", ["import fcntl", "from pwd import getpwuid", "from signal import SIGKILL", "import os; os.fork()"]
)
def test_what_needs_posix_is_found(line):
    assert posix_only(line)
