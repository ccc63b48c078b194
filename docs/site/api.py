"""Writes the pages of the API reference: one for each room, and one for each public class.

Which names are public is written in one place, the table *Python* of ``docs/contract.md``. A name of it that is a
module stands for all the public names in it. ``REFERRED`` adds what these take and return.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# What the names of the contract take and return.
REFERRED = (
    "gradvitals.monitor.settings.Settings",
    "gradvitals.monitor.monitor.Monitor",
    "gradvitals.monitor.measurement.Measurement",
    "gradvitals.displayed_results.DisplayedPreflight",
    "gradvitals.displayed_results.DisplayedSweep",
    "gradvitals.diagnosis.diagnose.Diagnosis",
    "gradvitals.diagnosis.finding.Finding",
    "gradvitals.diagnosis.history.History",
    "gradvitals.diagnosis.history.Observation",
    "gradvitals.diagnosis.history.Subject",
    "gradvitals.diagnosis.thresholds.Thresholds",
    "gradvitals.signal_propagation.preflight.preflight",
    "gradvitals.signal_propagation.reading.Preflight",
    "gradvitals.signal_propagation.reading.LayerReading",
    "gradvitals.signal_propagation.reading.TimeReading",
    "gradvitals.results.aggregate.Configuration",
    "gradvitals.results.aggregate.MeanStd",
)
ROOM_TITLES = {
    "gradvitals": "What one imports first",
    "gradvitals.app": "The template",
    "gradvitals.theory": "Mean-field theory",
    "gradvitals.vitals": "Measurements",
}


def contract_names(root: Path = ROOT) -> list[str]:
    """Returns the names of the contract's table, in its order."""
    section = (root / "docs/contract.md").read_text(encoding="utf-8").partition("\n## Python\n")[2]
    return re.findall(r"^\| `([\w.]+)` \|", section, re.MULTILINE)


def members(module: Any) -> list[str]:
    """Returns the public functions and classes of a room, in alphabetic order: what it collects from its own files."""
    return sorted(
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__.startswith(module.__name__)
    )


def load(dotted: str) -> Any:
    """Imports a module, or a name from its module."""
    package, _, last = dotted.rpartition(".")
    parent = importlib.import_module(package) if package else None
    found = getattr(parent, last, None) if parent else None
    return importlib.import_module(dotted) if found is None or inspect.ismodule(found) else found


@cache
def public_names() -> list[str]:
    """Returns the dotted name of every public function and class."""
    found: dict[str, None] = {}
    for name in (*contract_names(), *REFERRED):
        value = load(name)
        for each in [f"{name}.{one}" for one in members(value)] if inspect.ismodule(value) else [name]:
            found[each] = None
    return list(found)


def rooms() -> dict[str, list[str]]:
    """Returns the public names of each room: the package itself, `theory`, `vitals`, and so on."""
    found: dict[str, list[str]] = {}
    for name in public_names():
        parts = name.split(".")
        found.setdefault(".".join(parts[:2]) if len(parts) > 2 else "gradvitals", []).append(name)
    return found


@cache
def homes() -> dict[str, str]:
    """Returns the public name by the place where it is defined."""
    return {f"{load(name).__module__}.{load(name).__qualname__}": name for name in public_names()}


def first_sentence(name: str) -> str:
    """Returns the first line of a docstring, as reStructuredText."""
    return (inspect.getdoc(load(name)) or "").partition("\n\n")[0].replace("\n", " ")


def heading(text: str, line: str = "=") -> str:
    """Returns a heading of reStructuredText."""
    return f"{text}\n{line * len(text)}\n"


def class_page(name: str) -> str:
    """Returns the page of a class: its docstring, then its public methods and attributes."""
    short = name.rpartition(".")[2]
    return f"{heading(short)}\n.. autoclass:: {name}\n   :members:\n   :inherited-members: {ends(load(name))}\n"


def ends(cls: type) -> str:
    """Returns the names of the bases whose members are documented elsewhere: those of other packages."""
    return ", ".join(base.__name__ for base in cls.__mro__ if not base.__module__.startswith("gradvitals"))


def room_page(room: str, names: list[str]) -> str:
    """Returns the page of a room: a table of its names, its functions, and links to the pages of its classes."""
    title = ROOM_TITLES.get(room, room.rpartition(".")[2].replace("_", " ").capitalize())
    classes = [name for name in names if inspect.isclass(load(name))]
    parts = [heading(title), f"``{room}``\n", f".. automodule:: {room}\n   :no-index:\n", "\n".join(table(names))]
    if classes:
        parts.append(".. toctree::\n   :hidden:\n\n" + "".join(f"   {name}\n" for name in classes))
    parts += [f".. autofunction:: {name}\n" for name in names if name not in classes]
    return "\n".join(parts)


def table(names: list[str]) -> Iterator[str]:
    """Yields the lines of a table of names, each with its first sentence."""
    yield ".. list-table::\n   :widths: 30 70\n   :class: names\n"
    for name in names:
        role = "class" if inspect.isclass(load(name)) else "func"
        yield f"   * - :{role}:`~{name}`\n     - {first_sentence(name)}"
    yield ""


def index_page(found: dict[str, list[str]]) -> str:
    """Returns the first page of the reference."""
    text = (
        "Every name that a script may import, with the shapes and units of what it takes and returns, its errors and\n"
        "an example that the tests run. The :doc:`contract </docs/contract>` says which of them will stay.\n"
    )
    entries = "".join(f"   {room}\n" for room in found)
    return f"{heading('API reference')}\n{text}\n.. toctree::\n   :maxdepth: 2\n\n{entries}"


def write(root: Path) -> None:
    """Writes all pages into ``docs/api``, each only if it changed, and removes those of names that are gone."""
    found = rooms()
    pages = {"index": index_page(found)} | {room: room_page(room, names) for room, names in found.items()}
    pages |= {name: class_page(name) for names in found.values() for name in names if inspect.isclass(load(name))}
    folder = root / "docs/api"
    folder.mkdir(exist_ok=True)
    for file in folder.glob("*.rst"):
        if file.stem not in pages:
            file.unlink()
    for name, text in pages.items():
        file = folder / f"{name}.rst"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            file.write_text(text, encoding="utf-8")


def one_name_a_line(app: Any, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Splits the entries ``a, b: TEXT`` of a docstring's sections, which napoleon would read as a type and a name."""
    done: list[str] = []
    while lines:
        entry = re.match(r"    (\w+(?:, \w+)+): (.*)", lines[0])
        if not entry:
            done.append(lines.pop(0))
            continue
        lines.pop(0)
        more = []
        while lines and lines[0].startswith("     "):
            more.append(lines.pop(0))
        for each in entry[1].split(", "):
            done += [f"    {each}: {entry[2]}", *more]
    lines[:] = done


def readable_defaults(app: Any, what: str, name: str, value: Any, options: Any, arguments: str, returned: str) -> Any:
    """Names functions that are defaults, in place of ``<function NAME>``, which Sphinx cannot parse."""
    return re.sub(r"<function ([\w.]+)[^>]*>", r"\1", arguments or "") or None, returned


def public_place(app: Any, env: Any, node: Any, content: Any) -> Any:
    """Resolves a reference to the file that defines a name to the public name, under which it is documented.

    A name of gradvitals that has no page is shown as text, provided that it exists.
    """
    target = node["reftarget"].lstrip("~.")
    if node.get("refdomain") != "py":
        return None
    if "." not in target:
        inside = ".".join(filter(None, (node.get("py:module"), node.get("py:class"))))
        return content if is_written(target, inside) else None
    if not target.startswith("gradvitals."):
        return None
    known = homes()
    home = next((home for home in known if target == home or target.startswith(f"{home}.")), None)
    if home is None:
        return content if exists(target) else None
    wanted = known[home] + target[len(home) :]
    return env.get_domain("py").resolve_xref(env, node["refdoc"], app.builder, node["reftype"], wanted, node, content)


def is_written(name: str, inside: str) -> bool:
    """Returns whether a class or module, or one of its bases, defines a name: an attribute, a method, a function."""
    value = load(inside) if inside.startswith("gradvitals") else None
    places = [base for base in getattr(value, "__mro__", ()) if base.__module__.startswith("gradvitals")]
    if inspect.ismodule(value):
        places = [value]
    return any(re.search(rf"(def |self\.|^    ){name}\b", inspect.getsource(each), re.MULTILINE) for each in places)


def exists(dotted: str) -> bool:
    """Returns whether a module, a name in one, or an attribute of such a name exists."""
    parts = dotted.split(".")
    for cut in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:cut]))
        except ModuleNotFoundError:
            continue
        return all((found := getattr(found, name, None)) is not None for name in parts[cut:])
    return False
