"""Every public name says what it takes and returns, which errors it raises, and shows an example, which pytest runs."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Any

import pytest

from tests.pages import script

SHAPES = r"shape|axes|``\([\w, .]*\)``"
SETTINGS = "gradvitals.monitor.settings.Settings"


@cache
def reference() -> ModuleType:
    """The script that makes the pages of the reference, which knows the public names."""
    return script("site/api")


def around(value: Any) -> str:
    """What the file of a name, and the room that it belongs to, say of all names in it."""
    module = inspect.getmodule(value)
    room = ".".join(module.__name__.split(".")[:2])
    return f"{module.__doc__} {importlib.import_module(room).__doc__}"


def raised(value: Any) -> set[str]:
    """The errors that a function raises itself."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(value)))
    found = {
        ast.unparse(node.exc).partition("(")[0] for node in ast.walk(tree) if isinstance(node, ast.Raise) and node.exc
    }
    return {name for name in found if name.endswith(("Error", "Pattern"))}


@dataclass
class Returned:
    annotation: Any


def gaps_of_function(value: Any, text: str) -> Iterator[str]:
    signature = inspect.signature(value)
    for name in signature.parameters:
        if name not in ("self", "cls") and not re.search(rf"\b{name}\b", text.partition("Example:")[0] + around(value)):
            yield f"argument {name}"
    if str(signature.return_annotation) not in ("None", "<class 'inspect._empty'>") and not re.match(
        "[A-Z][a-z]+s ", text
    ):
        yield "what it returns"
    annotations = [each.annotation for each in (*signature.parameters.values(), Returned(signature.return_annotation))]
    if any(re.search(r"\bTensor\b(?!\], )", str(each)) for each in annotations) and not re.search(SHAPES, text):
        yield "shapes"
    yield from (f"error {name}" for name in raised(value) if name not in text)


def ours(cls: type) -> list[type]:
    """A class and its bases that are gradvitals' own, which document their own arguments."""
    return [base for base in cls.__mro__ if base.__module__.startswith("gradvitals")]


def undocumented(cls: type) -> list[str]:
    """The public methods of a class without a docstring, but for hooks: what calls them says what they are for."""
    others = {name for base in cls.__mro__ if base not in ours(cls) for name in vars(base)}
    methods = {name: value for base in ours(cls) for name, value in vars(base).items() if not name.startswith("_")}
    described = (property, classmethod, staticmethod, type(ours))
    return [
        f"{name}: docstring"
        for name, value in methods.items()
        if isinstance(value, described) and not value.__doc__ and name not in others and not name.endswith("_called")
    ]


def gaps(name: str) -> list[str]:
    """What the docstring of a public name lacks."""
    value = reference().load(name)
    text = inspect.getdoc(value) or ""
    found = [] if ">>> " in text else ["example"]
    if not inspect.isclass(value):
        return [*found, *gaps_of_function(value, text)]
    if issubclass(value, Exception):
        return found
    elsewhere = inspect.signature(reference().load(SETTINGS)).parameters if "**settings: " in text else {}
    described = "\n".join((inspect.getdoc(base) or "").partition("Example:")[0] for base in ours(value)) + around(value)
    for parameter in inspect.signature(value).parameters:
        if parameter not in elsewhere and not re.search(rf"\b{parameter}\b", described):
            found.append(f"argument {parameter}")
    found += undocumented(value)
    for method, function in vars(value).items():
        if not method.startswith("_") and inspect.isfunction(function) and function.__doc__:
            found += [f"{method}: {gap}" for gap in gaps_of_function(function, inspect.getdoc(function) or "")]
    return found


@pytest.mark.parametrize("name", reference().public_names())
def test_a_public_name_is_documented(name):
    assert gaps(name) == []


def test_the_contract_names_only_what_is_there():
    assert set(reference().contract_names()) >= {"gradvitals.watch", "gradvitals.theory", "gradvitals.vitals"}


def test_what_lacks_is_found():
    def bare(tensor: "torch.Tensor", factor: float) -> "torch.Tensor":  # noqa: F821, UP037
        """A docstring."""
        raise ValueError

    assert list(gaps_of_function(bare, bare.__doc__)) == [
        "argument tensor", "argument factor", "what it returns", "shapes", "error ValueError",
    ]  # fmt: skip
