"""What the repository contains, and that every command can be imported on Windows too."""

import ast
import re
import subprocess
from datetime import date

import pytest
import yaml

import gradvitals
from tests.conftest import ROOT

# What is at the top level on purpose; a file that a run left there is not.
FOLDERS = {".ci", ".github", "benchmarks", "conf", "docs", "examples", "src", "tests"}
FILES = {
    ".gitignore",
    ".pre-commit-config.yaml",
    "CHANGELOG.md",
    "CITATION.cff",
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


FORGE = [ROOT / ".pre-commit-config.yaml", ROOT / "CITATION.cff", *sorted((ROOT / ".github").rglob("*.yml"))]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()


@pytest.fixture
def checkout():
    if not (ROOT / ".ci/run").exists():
        pytest.skip("an archive has no .ci and .github")


@pytest.mark.parametrize("file", FORGE, ids=lambda file: file.name)
def test_files_for_forges_are_yaml(file):
    assert isinstance(yaml.safe_load(file.read_text()), dict)


def test_the_workflow_runs_what_every_ci_runs(checkout):
    """And nothing else, so that there is one place to change."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]
    assert [command for command in commands if not command.startswith("git config")] == [".ci/run"]
    assert (ROOT / ".ci/run").stat().st_mode & 0o111


def test_pre_commit_runs_make_check_and_downloads_nothing():
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    (hook,) = repository["hooks"]
    assert (repository["repo"], hook["language"], hook["entry"]) == ("local", "system", "make check")
    assert re.search(r"^check:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_templates_ask_for_the_result(checkout):
    """A form's fields have the keys that forges require, and the file is one that a run writes."""
    for name in ("bug", "verdict"):
        form = yaml.safe_load((ROOT / f".github/ISSUE_TEMPLATE/{name}.yml").read_text())
        assert {"name", "description", "body"} <= form.keys()
        assert all(field["attributes"]["label"] for field in form["body"])
        assert len({field["id"] for field in form["body"]}) == len(form["body"])
        assert any("result.json" in field["attributes"]["label"] for field in form["body"])
    assert "result.json" in (ROOT / ".github/pull_request_template.md").read_text()
    assert '"result.json"' in (ROOT / "src/gradvitals/results/result.py").read_text()


def test_the_changelog_has_the_version_and_what_is_not_released():
    versions = re.findall(r"^## \[(.*?)\](?: - (.*))?$", CHANGELOG, re.MULTILINE)
    names = [name for name, _ in versions]
    assert (names[0], names[1]) == ("Unreleased", gradvitals.__version__)
    assert all(date.fromisoformat(day) for _, day in versions if day)


def test_the_citation_has_the_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert (citation["cff-version"], citation["version"]) == ("1.2.0", gradvitals.__version__)
    assert {"message", "title", "authors"} <= citation.keys()
