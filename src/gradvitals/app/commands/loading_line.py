"""Prints the first line of a command, what is being loaded, before anything is loaded.

Where the package is missing, a line that says so is the only one.

The module itself imports nothing heavy, so that the line comes within a fraction of a second.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from gradvitals.distributed.cluster_environment import is_first_process
from gradvitals.errors import MissingExtra, naming_extras

# Hydra's flags that show something and load neither torch nor Lightning.
SHOW = {"--help", "-h", "--hydra-help", "--version", "--cfg", "-c", "--info", "-i", "--shell-completion", "-sc"}


def announce_loading(what: str) -> None:
    """Prints on a terminal what is being loaded; nothing in a pipe or file, and nothing where a flag only shows."""
    only_shows = any(word.partition("=")[0] in SHOW for word in sys.argv[1:])
    if sys.stderr.isatty() and is_first_process() and not only_shows:
        print(f"loading      {what} ...", file=sys.stderr, flush=True)


@contextmanager
def missing_extra_in_one_line(command: str) -> Iterator[None]:
    """Ends a command that needs a package of an extra by one line and exit code 1."""
    try:
        with naming_extras(command.removeprefix("gradvitals ")):
            yield
    except MissingExtra as error:
        refuse(error)


def refuse(message: object) -> NoReturn:
    """Prints one line on stderr and exits with 1."""
    print(f"gradvitals: {message}", file=sys.stderr)
    raise SystemExit(1) from None
