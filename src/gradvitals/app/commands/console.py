"""The command ``gradvitals``: the scripts of a project by their names, in any folder, and ``gradvitals new``.

Configs are those of the package. In the folder of a project its own scripts are called, because a command that is found
by its name runs no code of the folder that it is typed in. The module itself imports nothing heavy, so that the first
line comes as early as that of a script.
"""

from __future__ import annotations

import os
import shlex
import sys
from difflib import get_close_matches
from pathlib import Path

import gradvitals
from gradvitals.app.commands import script
from gradvitals.app.commands.loading_line import refuse
from gradvitals.app.commands.new_project import new_command
from gradvitals.app.commands.script import COMMANDS, COMPOSED
from gradvitals.app.config.conf_folder import PACKAGED, PROJECT, is_project
from gradvitals.errors import shown
from gradvitals.formatting import SCRIPT

ABOUT = {"new": "makes a project of your own, which depends on this package"} | script.ABOUT
COMPLETION = ("-sc", "--shell-completion")  # Hydra's flag
ANYWHERE = ("board",)  # reads what runs have written, and neither configs nor code


def main() -> None:
    """Runs the command that is typed."""
    typed, *words = sys.argv[1:] or ["--help"]
    if typed in COMPLETION:
        typed, words = _of_the_completed_line(), [typed, *words]
    if not typed:
        print("\n".join(ABOUT))
    elif typed in ("--help", "-h", "help"):
        print(_listed())
    elif typed == "--version":
        print(f"gradvitals {gradvitals.__version__}")
    elif typed not in ABOUT:
        close = get_close_matches(typed, ABOUT, n=1)
        expected = f"did you mean {close[0]}?" if close else f"expected {', '.join(ABOUT)}"
        refuse(f"{shown(typed)}: no such command; {expected}")
    else:
        sys.argv = [sys.argv[0], *words]
        command = f"gradvitals {typed}"
        if typed == "new":
            new_command(command)
        else:
            _leave_to_the_project(typed, words)
            os.environ.pop(PROJECT, None)
            os.environ[SCRIPT] = typed
            COMMANDS[typed](command)


def _of_the_completed_line() -> str:
    """The command in the line that a shell completes; Hydra gets the line without it. Empty while it is being typed."""
    line = os.environ.get("COMP_LINE")
    if line is None:  # the shell installs its function, which is the same for all commands
        return "train"
    program, _, rest = line.partition(" ")
    name, space, rest = rest.partition(" ")
    if not space:
        return ""
    if name not in COMPOSED:
        raise SystemExit  # nothing is offered, and the shell completes files
    os.environ["COMP_LINE"] = f"{program} {rest}"
    return name


def _leave_to_the_project(name: str, words: list[str]) -> None:
    here, own = Path.cwd(), Path("src", f"{name}.py")
    is_elsewhere = here == PACKAGED.parent or not (own.is_file() and is_project(here))
    if name in ANYWHERE or is_elsewhere or {*words} & {*COMPLETION}:
        return
    typed = shlex.join(["python", str(own), *words])
    refuse(f"{name}: this folder is a project, whose own scripts read its conf/; expected {typed}")


def _listed() -> str:
    lines = [f"  {name:<11}{text}" for name, text in ABOUT.items()]
    more = ["`gradvitals COMMAND --help` shows what a command takes, as in", "gradvitals train model=bn act=elu"]
    return "\n".join(["usage: gradvitals COMMAND ...", "", *lines, "", *more])
