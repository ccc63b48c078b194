"""The scripts of a project: ``src/train.py`` and its neighbors call :func:`run_script`, and nothing else.

The module itself imports nothing heavy, so that the first line comes at once.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gradvitals.app.commands import run_commands
from gradvitals.app.commands.loading_line import announce_loading, missing_extra_in_one_line
from gradvitals.app.config.conf_folder import PROJECT
from gradvitals.formatting import SCRIPT

ABOUT = {
    "train": "trains one network, or a sweep of them",
    "preflight": "sends one batch through a network before any training",
    "cure": "trains until a network is diagnosed, and tries the remedies",
    "eval": "tests a trained run again, or on other data",
    "predict": "writes the predictions of a run for every row of a table",
    "export": "writes the weights of a run as safetensors",
    "report": "writes one page about a run, or one that compares many",
    "board": "serves TensorBoard on the newest runs",
}
COMPOSED = {  # commands that compose a config -> what they load, and what for
    "train": "Hydra, torch and Lightning, to train",
    "preflight": "Hydra, torch and Lightning, to look at one batch",
    "cure": "Hydra, torch and Lightning, to diagnose and cure",
}


def composed_command(name: str, command: str) -> None:
    """Runs a command that composes a config; ``command`` is how it is typed, as in the other commands."""
    announce_loading(COMPOSED[name])
    with missing_extra_in_one_line(name):
        from gradvitals.app.commands.entry_point import launch
    launch(name)


COMMANDS: dict[str, Callable[[str], None]] = {
    **{name: partial(composed_command, name) for name in COMPOSED},
    "eval": run_commands.eval_command,
    "predict": run_commands.predict_command,
    "export": run_commands.export_command,
    "report": run_commands.report_command,
    "board": run_commands.board_command,
}


def run_script(file: str) -> None:
    """Runs the command that a script is named after, with the configs and settings of the script's project.

    The project is the folder above the script's: its ``conf/`` comes before the packaged one, and its ``.env`` and
    ``pyproject.toml`` are read.

    Args:
        file: the script's own ``__file__``, such as ``my-project/src/train.py``.

    Raises:
        SystemExit: with the exit code of the command; it has printed one line where that is 1.

    Example:
        ``src/train.py`` of a project::

            from gradvitals.app.commands.script import run_script

            if __name__ == "__main__":
                run_script(__file__)

        >>> run_script("my-project/src/training.py")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        SystemExit: gradvitals: training.py: expected a script that is named after a command: train, preflight, ...
    """
    script = Path(file).resolve()
    if script.stem not in COMMANDS:
        expected = f"expected a script that is named after a command: {', '.join(COMMANDS)}"
        raise SystemExit(f"gradvitals: {script.name}: {expected}")
    os.environ |= {PROJECT: str(script.parents[1]), SCRIPT: str(script)}
    COMMANDS[script.stem](f"python src/{script.name}")
