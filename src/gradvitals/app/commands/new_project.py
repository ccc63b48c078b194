"""``gradvitals new``: a project of one's own, which depends on this package instead of copying it.

Its files are those of the folder ``template`` beside this module, with the names of the project in them. The module
itself imports nothing heavy.
"""

from __future__ import annotations

import keyword
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import gradvitals
from gradvitals.app.commands.loading_line import refuse
from gradvitals.app.commands.run_commands import parser_of
from gradvitals.app.commands.script import ABOUT
from gradvitals.errors import EXTRAS, ConfigError
from gradvitals.formatting import in_shell

TEXT = """Makes a project that depends on this package: a network, a data module, configs
that extend the packaged ones, scripts, a test, and what a repository needs.

  COMMAND my-project

FOLDER is made, or is empty; its last part is the name of the project. The
package in it has the same name, with _ for each -.
"""
TEMPLATE = Path(__file__).parent / "template"
SUFFIX = ".template"  # so that no tool takes them for modules, tests or settings of this project
NAME = re.compile(r"[A-Za-z]([A-Za-z0-9_-]*[A-Za-z0-9])?")
ONE_FOR_EACH = "src/command.py"  # stands for one script for each command
EMPTY = {".git"}  # what an empty folder may contain


def new_command(command: str) -> None:
    """Makes a project and prints what to type next; ``command`` is how the command is typed."""
    parser = parser_of(command, TEXT)
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="the folder of the project")
    folder = parser.parse_args().folder
    try:
        count = new_project(folder)
    except (ConfigError, OSError) as error:
        refuse(error)
    print(_closing_lines(folder, count))


def _closing_lines(folder: Path, count: int) -> str:
    lines = [f"project      {in_shell(folder)}: {count} files"]
    if any(find_spec(package) is None for package in EXTRAS["app"].split()):
        lines.append('first        pip install "gradvitals[app]"')
    lines += [
        f"then         cd {shlex.quote(str(folder))}",
        "             python src/train.py act=elu",
        "read         README.md",
    ]
    return "\n".join(lines)


def new_project(folder: Path) -> int:
    """Writes the files of a new project, and returns how many they are.

    Args:
        folder: which does not exist yet, or is empty; its name is that of the project.

    Raises:
        ConfigError: a name that no package can have, or a folder with something in it.
        OSError: the folder cannot be written.
    """
    name = folder.resolve().name
    package = _package(name)
    if folder.exists() and (not folder.is_dir() or {entry.name for entry in folder.iterdir()} - EMPTY):
        found = "it contains something" if folder.is_dir() else "it is a file"
        raise ConfigError(f"{folder}: expected a folder that does not exist yet, or is empty; {found}")
    files = dict(_files({"my-project": name, "my_project": package, "{version}": gradvitals.__version__}))
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8", newline="\n")  # make reads no others
    return len(files)


def _package(name: str) -> str:
    """The name of a project's package; it must be importable, and hide no other module from the project's scripts."""
    package = name.replace("-", "_")
    if not NAME.fullmatch(name) or keyword.iskeyword(package):
        raise ConfigError(
            f"{name!r}: expected a name that begins with a letter and contains letters, digits, - and _, because it is "
            "the name of a Python package, too; such as my-project"
        )
    others = (*sys.stdlib_module_names, "hydra_plugins")
    found = None if package in others else find_spec(package)
    is_taken = package in others or (found is not None and found.origin is not None)
    if package in ABOUT or is_taken:
        what = "of a script in src/" if package in ABOUT else "of a Python module"
        raise ConfigError(f"{name}: is the name {what} already, which the project would hide; expected another name")
    return package


def _files(names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Path in the project and content of each file."""
    for file in sorted(TEMPLATE.rglob(f"*{SUFFIX}")):
        path = file.relative_to(TEMPLATE).as_posix().removesuffix(SUFFIX).replace("dot_", ".")
        text = file.read_text(encoding="utf-8")
        if path != ONE_FOR_EACH:
            yield _replaced(path, names), _replaced(text, names)
            continue
        for command, about in ABOUT.items():
            sentence = f"{about[0].upper()}{about[1:]}"
            yield f"src/{command}.py", _replaced(text, {"{command}": command, "{about}": sentence})


def _replaced(text: str, names: Mapping[str, str]) -> str:
    """One pass, because a project may be called my_project_2."""
    return re.sub("|".join(map(re.escape, names)), lambda found: names[found[0]], text)
