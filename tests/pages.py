"""The pages of the repository, as people read them on a forge, and what is to be found in them."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.conftest import ROOT

FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
GENERATED = "docs/api/"  # pages of the site alone
# Their commands and their code are those of another project, or need other packages; each has tests of its own, and the
# experiments of the recipes have, too.
ELSEWHERE = {"coming_from_lightning_hydra_template", "loggers", "new_project", "recipes", "troubleshooting", "tutorial"}


def pages() -> list[Path]:
    """README, CONTRIBUTING, and what is in ``docs/``; folders with an underscore are what a generator of sites wrote."""
    below = (page for page in sorted((ROOT / "docs").rglob("*.md")) if "/_" not in str(page.relative_to(ROOT)))
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *below]


def script(name: str) -> ModuleType:
    """The script ``docs/NAME.py``, which is no module of a package."""
    spec = importlib.util.spec_from_file_location(name.replace("/", "_"), ROOT / f"docs/{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def prose(page: Path) -> str:
    """The text without blocks of code."""
    return FENCE.sub("", page.read_text())


def blocks(page: Path, language: str) -> list[str]:
    return [code for found, code in FENCE.findall(page.read_text()) if found == language]


def commands(page: Path) -> Iterator[str]:
    """Each line of the blocks of bash, and what looks like a command in a sentence."""
    for block in blocks(page, "bash"):
        for line in block.splitlines():
            yield from (part.strip() for part in line.split("&&") if part.strip() and not part.startswith("#"))
    for span in re.findall(r"`([^`]+)`", prose(page)):
        if re.match(r"(python|make|gradvitals) [a-z-]", span):
            yield from (part.strip() for part in re.split("; (?=python|make)", " ".join(span.split())))
