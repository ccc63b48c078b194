"""docs/private_names.md: every private name of another package is listed, exists, and names a test that breaks first."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "private_names.md"
ROW = re.compile(r"\| `([\w.]+)` \| (?:`([\w.]+)` )?\| (.+) \| `(tests/[\w/]+\.py)::(test_\w+)` \|")
OURS = {"_optimizer"}  # private names that one file of ours takes from another
DOCUMENTED = {"_exit"}  # public functions of the standard library, in spite of their names: os._exit
SUFFIXES = {"_attempt", "_sweep"}  # strings that only look like names


def rows(private: bool = True) -> list[tuple[str, ...]]:
    """Name, owner, reason, test file and test of each row; of the private names, or of the public ones."""
    text = PAGE.read_text().partition("## Public names")[0 if private else 2]
    tables = [line for line in text.splitlines() if line.startswith("| `") and "::" in line]
    assert all(ROW.fullmatch(line) for line in tables), [line for line in tables if not ROW.fullmatch(line)]
    return [match.groups("") for line in tables if (match := ROW.fullmatch(line))]


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("_")


def defined_in(tree: ast.Module) -> tuple[set[str], set[str]]:
    """The members of the classes of a file, and its other names."""
    members, names = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            inner = [*node.body, *(target for line in node.body for target in getattr(line, "targets", ()))]
            inner += [line.target for line in node.body if isinstance(line, ast.AnnAssign)]
            members |= {getattr(one, "name", getattr(one, "id", "")) for one in inner}
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node.value) == "self":
            members.add(node.attr)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return members, names


def foreign(code: str) -> Iterator[str]:
    """The private names in a file that belong to other packages: imports in full, attributes and strings alone."""
    tree = ast.parse(code)
    members, names = defined_in(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            if node.attr not in members or ast.unparse(node.value) == "super()":
                dotted = ast.unparse(node)
                yield dotted if dotted.startswith("torch._") and dotted.count(".") > 1 else node.attr
        elif isinstance(node, ast.ImportFrom) and node.module and not node.module.startswith(("__", "gradvitals")):
            yield from (name for alias in node.names if has_private_part(name := f"{node.module}.{alias.name}"))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if has_private_part(alias.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.strip(".")
            if re.fullmatch(r"\w+(\.\w+)*", name) and has_private_part(name) and name not in members | names:
                yield name


def has_private_part(dotted: str) -> bool:
    """Whether a dotted name has a private component."""
    return any(is_private(part) for part in dotted.split("."))


@cache
def in_use() -> dict[str, str]:
    """Private names of other packages that src touches, and a file that does."""
    files = sorted((ROOT / "src").rglob("*.py"))
    found = {name: str(file.relative_to(ROOT)) for file in files for name in foreign(file.read_text())}
    chains = {name.partition(".")[2].split(".")[0] for name in found if name.startswith("torch._") and "_C" in name}
    return {name: file for name, file in found.items() if name not in OURS | DOCUMENTED | SUFFIXES | chains}


def test_the_walk_finds_what_it_should():
    code = """
from lightning.loops import _Loop, fit
import hydra._internal.x
from gradvitals.rooms import _ours
class Mine(_Loop):
    _known = 1
    def _run(self):
        self._own = super()._run() + self._theirs + torch._C._id() + other._known
        return getattr(x, "_by_string", None), x._attribute, self._own, self._run, "plain", __name__, "_target_"
"""
    expected = {"lightning.loops._Loop", "hydra._internal.x", "_run", "_theirs", "torch._C._id", "_C"}
    assert set(foreign(code)) == expected | {"_by_string", "_attribute"}


def test_every_private_name_of_another_package_has_private_part():
    listed = [name for name, *_ in rows()]
    missing = {name: file for name, file in in_use().items() if name not in listed}
    assert not missing, "add them to docs/private_names.md, with why and the test that breaks first"
    assert not set(listed) - set(in_use()), "nothing touches them any more: remove their rows"
    assert len(listed) == len(set(listed))


def test_whatever_is_patched_has_private_part():
    code = "\n".join(file.read_text() for file in (ROOT / "src").rglob("*.py"))
    patched = set(re.findall(r"patch\.object\([\w.]+, \"(\w+)\"", code))
    assert len(patched) > 3
    assert patched <= {name for private in (True, False) for name, *_ in rows(private)}


@pytest.mark.parametrize(("name", "owner"), [row[:2] for private in (True, False) for row in rows(private)])
def test_the_name_exists_in_the_installed_version(name, owner):
    *module, last = name.split(".")
    target = resolved(owner or ".".join(module))
    assert hasattr(target, last) or re.search(rf"\b{last}\b", inspect.getsource(target))


def resolved(dotted: str) -> object:
    """A module, or a class in one; for the class of a node of autograd, which has no module, such a node."""
    if dotted == "SoftmaxBackward0":
        return torch.ones(2, requires_grad=True).softmax(0).grad_fn
    if dotted == "AddBackward0":
        return (torch.ones(2, requires_grad=True) + torch.ones(2)).grad_fn
    try:
        return importlib.import_module(dotted)
    except ModuleNotFoundError:
        module, _, name = dotted.rpartition(".")
        return getattr(importlib.import_module(module), name)


@pytest.mark.parametrize(("file", "test"), sorted({row[3:] for private in (True, False) for row in rows(private)}))
def test_the_test_that_breaks_first_exists(file, test):
    assert re.search(rf"^def {test}\(", (ROOT / file).read_text(), re.MULTILINE)
