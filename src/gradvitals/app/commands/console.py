"""The command ``gradvitals``: the scripts of ``src/`` by their names, in any folder.

Those that compose a config need a checkout, whose script is run; the others need the package alone. The module itself
imports nothing heavy, so that the first line comes as early as that of a script.
"""

from __future__ import annotations

import runpy
import sys
from difflib import get_close_matches
from typing import NoReturn

from gradvitals.app.commands import run_commands
from gradvitals.app.config.conf_folder import script_of
from gradvitals.errors import shown

COMPOSED = {
    "train": "trains one network, or a sweep of them",
    "preflight": "sends one batch through a network before any training",
    "cure": "trains until a network is diagnosed, and tries the remedies",
}
ON_RUNS = {
    "eval": (run_commands.eval_command, "tests a trained run again, or on other data"),
    "predict": (run_commands.predict_command, "writes the predictions of a run for every row of a table"),
    "export": (run_commands.export_command, "writes the weights of a run as safetensors"),
    "report": (run_commands.report_command, "writes one page about a run, or one that compares many"),
    "board": (run_commands.board_command, "serves TensorBoard on the newest runs"),
}
NO_TEMPLATE = (
    "{command} needs the training template, whose configs are not part of the installed package. "
    'Clone the project, and in it: pip install --editable ".[app]"'
)


def main() -> None:
    """Runs the command that is typed."""
    typed, *words = sys.argv[1:] or ["--help"]
    if typed in ("--help", "-h", "help"):
        print(_listed())
    elif typed == "--version":
        from gradvitals import __version__

        print(f"gradvitals {__version__}")
    elif typed in ON_RUNS:
        sys.argv = [sys.argv[0], *words]
        ON_RUNS[typed][0](f"gradvitals {typed}")
    elif typed in COMPOSED:
        _run_script(typed, words)
    else:
        known = [*COMPOSED, *ON_RUNS]
        close = get_close_matches(typed, known, n=1)
        expected = f"did you mean {close[0]}?" if close else f"expected {', '.join(known)}"
        _refuse(f"{shown(typed)}: no such command; {expected}")


def _run_script(command: str, words: list[str]) -> None:
    script = script_of(command)
    if script is None:
        _refuse(NO_TEMPLATE.format(command=command))
    sys.argv = [str(script), *words]  # with which a run starts its other processes
    sys.path.insert(0, str(script.parent))  # as Python does with a script: modules of the user's own are there
    runpy.run_path(str(script), run_name="__main__")


def _listed() -> str:
    about = COMPOSED | {name: text for name, (_, text) in ON_RUNS.items()}
    lines = [f"  {name:<11}{text}" for name, text in about.items()]
    more = ["`gradvitals COMMAND --help` shows what a command takes, as in", "gradvitals train model=bn act=elu"]
    return "\n".join(["usage: gradvitals COMMAND ...", "", *lines, "", *more])


def _refuse(message: str) -> NoReturn:
    print(f"gradvitals: {message}", file=sys.stderr)
    raise SystemExit(1)
