"""Errors in one or two lines: what was expected, what came, what would be accepted, where to set it."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import GrammarParseError, InterpolationResolutionError, OmegaConfBaseException

from gradvitals.app.config.offers import as_it_was_typed, no_such_key, no_such_option
from gradvitals.app.config.other_templates import SUBCOMMANDS
from gradvitals.app.config.overrides import parsed
from gradvitals.distributed.cluster_environment import rank
from gradvitals.errors import LostProcess, MissingExtra, out_of_reach
from gradvitals.formatting import as_typed, setting, visible

HINT = "HYDRA_FULL_ERROR=1 shows the traceback"
AMBIGUOUS = re.compile(r"Ambiguous value for argument '(.*?)'\n", re.DOTALL)  # Hydra's words about a comma
ITEM = re.compile(r"""\s*("(\\.|[^"\\])*"|'(\\.|[^'\\])*')\s*(?=,|$)|[^,]+""")  # of a list as it was typed
JOBLIB = "hydra/launcher=joblib"  # an option that its package brings; the other launchers have a file in conf
VERBOSE = "GRADVITALS_FULL_ERROR"  # the user's own HYDRA_FULL_ERROR, which processes that this one starts see too


def full_errors() -> bool:
    """Returns whether the user asked for tracebacks."""
    return os.environ.get(VERBOSE, os.environ.get("HYDRA_FULL_ERROR")) == "1"


def explain(error: BaseException) -> str:
    """Returns what is printed of an error, without a traceback."""
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return _unreadable(str(error.override), sys.argv[1:])
    if isinstance(error, (ConfigCompositionException, OmegaConfBaseException)):
        return _composition(error)
    message = " ".join(part if len(part) <= 200 else f"{part[:200]}..." for part in str(error).split())
    # Lightning's own refusals, known by name because importing it here would take seconds.
    if type(error).__name__ == "MisconfigurationException":
        return f"trainer: {message}"
    if message.startswith("Config group override must be"):
        return _no_option(message)
    if isinstance(error, (ValueError, OSError, LostProcess, MissingExtra)):
        return message
    if out_of_reach(error):
        return f"another process of this run has ended, or cannot be reached; its own message is above ({HINT})"
    return f"{type(error).__name__}: {message[:300]} ({HINT})"


def _unreadable(override: str, argv: Sequence[str]) -> str:
    """Offers what Hydra cannot read in quotes, where that makes it readable."""
    refused = f"cannot read {override!r}: expected KEY=VALUE"
    if override in SUBCOMMANDS:
        return f"{override}: there are no subcommands; expected {SUBCOMMANDS[override]}"
    key, equals, value = _whole(override, argv).partition("=")
    quoted = f"{key}={_quoted_items(value) or as_typed(value)}"
    is_open = value.startswith("[") and not value.endswith("]")  # a list that was not ended
    if not equals or is_open or not _is_readable(quoted):
        return f"{refused}; quote what the shell or Hydra would take apart"
    return f"{refused}; quoted, it is typed {shlex.quote(quoted)}"


def _whole(override: str, argv: Sequence[str]) -> str:
    """An override with the words that the shell took off it at a space."""
    if override not in argv:
        return override
    first = last = argv.index(override)
    while "=" not in argv[first] and first > 0:
        first -= 1
    while last + 1 < len(argv) and "=" not in argv[last + 1] and not argv[last + 1].startswith("-"):
        last += 1
    return " ".join(argv[first : last + 1])


def _quoted_items(value: str) -> str | None:
    """A list each of whose items Hydra reads alone: as it was typed, or else in quotes; None: it is no list."""
    if not (value.startswith("[") and value.endswith("]")):
        return None
    items = [found[0].strip() for found in ITEM.finditer(value[1:-1]) if found[0].strip()]
    return f"[{','.join(item if _is_readable(f'x={item}') else as_typed(item) for item in items)}]"


def _is_readable(override: str) -> bool:
    found = parsed(override)
    return found is not None and not found.is_sweep_override()


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if f"{group}={option}" == JOBLIB:
        return f'{JOBLIB} needs a package: hydra-joblib-launcher. Install it by pip install "gradvitals[joblib]"'
    return no_such_option(group, option, error.options or ()) if group else str(error).partition("\n")[0]


def _composition(error: Exception) -> str:
    if ambiguous := AMBIGUOUS.match(str(error)):
        key, _, value = ambiguous[1].partition("=")
        several = f"several values need -m, which trains each; a list is typed {shlex.quote(f'{key}=[{value}]')}"
        return f"{ambiguous[1]}: {several}, and a single name {setting(key, value)}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if not isinstance(cause, OmegaConfBaseException):
        return " ".join(str(error).split())
    key, first = cause.full_key or str(cause.key), str(cause).partition("\n")[0]
    if isinstance(cause, GrammarParseError):
        return f"{key}: expected a value, or ${{KEY}} for that of another key; {first}"
    if isinstance(cause, InterpolationResolutionError):
        return f"{key}: expected a value that can be resolved; {first}. Set it by {key}=VALUE"
    if "not in struct" not in first or not isinstance(cause.parent_node, DictConfig):
        return f"{key}: {first}"
    return _no_such_key(key, cause.parent_node)


def _no_such_key(key: str, parent_node: DictConfig) -> str:
    parent, _, last = key.rpartition(".")
    known = [str(name) for name in parent_node]
    if parent and "name" in known:  # an activation, an initializer, a clipping
        takes = ", ".join(name for name in known if name != "name") or "no parameter"
        return f"{key}: {parent}={parent_node['name']} takes {takes}; got {last}"
    root = parent_node._get_root()
    return no_such_key(*as_it_was_typed(key, sys.argv[1:]), root if isinstance(root, DictConfig) else None)


def _no_option(message: str) -> str:
    """Hydra reports the type of the value that came, and not the group."""
    kind, words = message.rpartition(" ")[2], sys.argv[1:]
    typed = [word for word in words if (found := parsed(word)) and type(found.value()).__name__ == kind]
    return f"{' '.join(typed)}: expected the name of an option, GROUP=OPTION; got {kind}"


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    """Ends a script in which an error is raised by one line and exit code 1, unless the user asked for tracebacks."""
    try:
        yield
    except Exception as error:
        if full_errors():
            raise
        leave(explain(error))


def leave(message: str) -> NoReturn:
    """Prints a message on stderr and exits with 1."""
    who = f" (process {number})" if (number := rank()) else ""
    print(f"gradvitals{who}: {visible(message)}", file=sys.stderr)
    raise SystemExit(1)
