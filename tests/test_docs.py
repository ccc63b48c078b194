"""The README says what is there."""

import importlib.util
import re
import subprocess

import pytest
from hydra import compose, initialize_config_dir

from tests.conftest import CONF, ROOT

README = (ROOT / "README.md").read_text()


def script(name: str):
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_table_of_groups_is_that_of_conf():
    assert script("groups").with_table(README) == README


COMMANDS = re.findall(r"^(?:GRADVITALS_ALLOW=\S+ )?python src/train.py ([^#\n]+)", README, re.MULTILINE)


@pytest.mark.parametrize(
    "words", [c.strip() for c in COMMANDS if not c.startswith(("-", "resume", "weights", "sweep="))]
)
def test_the_readmes_commands_compose(words):
    import shlex

    with initialize_config_dir(str(CONF), version_base="1.3"):
        compose("train", shlex.split(words))


def test_make_help_lists_every_target():
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert all(f"make {target}" in done.stdout for target in targets)


def test_no_package_host_is_named():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    hosts = re.compile("py" r"pi\.org|python" r"hosted|npm" r"js\.org|deb\.deb" "ian")
    assert not [
        name
        for name in tracked
        if name.endswith((".md", ".txt", ".toml", ".py", ".yaml", "run", "Makefile"))
        and hosts.search((ROOT / name).read_text())
    ]
