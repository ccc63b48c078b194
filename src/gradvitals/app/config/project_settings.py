"""What a project sets for all commands: variables in ``.env``, admitted packages in ``pyproject.toml``.

Both files are read from the root of the project whose script was called, or of the checkout that gradvitals is imported
from, and from nowhere else. The working folder may contain somebody else's run, and nothing that travels with a run may
admit code. Whoever calls the script of a project runs that project's code anyway.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from gradvitals.app.config.conf_folder import project_root
from gradvitals.app.config.error_messages import errors_in_one_line
from gradvitals.build import ALLOW, allowed
from gradvitals.errors import ConfigError, shown

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
LARGEST = 2**20  # bytes of .env


def read_project_settings(root: Path | None = None) -> None:
    """Sets the variables of ``.env`` and admits the packages of ``pyproject.toml``; call before torch is imported.

    Processes that this one starts inherit both by the environment.

    Args:
        root: of the project; None: :func:`~gradvitals.app.config.conf_folder.project_root`, without which nothing is
            read.
    """
    root = root or project_root()
    if root is None:
        return
    with errors_in_one_line():
        for name, value in dot_env(root / ".env").items():
            os.environ.setdefault(name, value)
        if packages := admitted(root / "pyproject.toml"):
            os.environ[ALLOW] = ",".join(sorted(allowed() | packages))


def dot_env(file: Path) -> dict[str, str]:
    """Returns the variables of a ``.env`` file, in python-dotenv's format; none without such a file.

    Raises:
        ConfigError: a line that is not ``NAME=VALUE``. Its number is named, and not its content, which may be secret.
    """
    if not os.path.isfile(file):  # `python -m venv .env` makes a folder of this name
        return {}
    if file.stat().st_size > LARGEST:
        raise ConfigError(f"{file}: expected at most {LARGEST} bytes, lines NAME=VALUE; got {file.stat().st_size}")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: expected UTF-8; got {error.object[error.start : error.end]!r}") from None
    from dotenv import dotenv_values

    if (line := next(_malformed(text), None)) is not None:
        raise ConfigError(f"{file}, line {line}: expected NAME=VALUE, with quotes closed")
    return {name: value or "" for name, value in dotenv_values(stream=StringIO(text)).items()}


def _malformed(text: str) -> Iterator[int]:
    """Numbers of the lines that python-dotenv would leave out, or that no environment can contain."""
    from dotenv.parser import parse_stream

    for binding in parse_stream(StringIO(text)):
        found, line = binding.original
        is_empty = binding.key is None and not binding.error  # a comment, or the end
        if not is_empty and (binding.value is None or "\0" in found or not NAME.fullmatch(binding.key or "")):
            yield line + found[: len(found) - len(found.lstrip())].count("\n")


def admitted(file: Path) -> frozenset[str]:
    """Returns the packages that ``allow`` lists in the table ``[tool.gradvitals]`` of a ``pyproject.toml``.

    Raises:
        ConfigError: broken TOML, or something else than a list of names of packages.
    """
    content = file.read_bytes() if os.path.isfile(file) else b""
    if b"allow" not in content:  # parsing takes longer than everything else here
        return frozenset()
    expected = f'{file}: expected [tool.gradvitals] with names of packages, allow = ["my_package"]'
    try:
        listed = tomllib.loads(content.decode()).get("tool", {}).get("gradvitals", {}).get("allow", [])
    except AttributeError:
        raise ConfigError(f"{expected}; got a value in place of a table") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{file}: expected TOML; {error}") from None
    wrong = [listed] if not isinstance(listed, list) else [name for name in listed if not _is_package(name)]
    if wrong:
        raise ConfigError(f"{expected}; got {shown(wrong[0])}")
    return frozenset(listed)


def _is_package(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier()
