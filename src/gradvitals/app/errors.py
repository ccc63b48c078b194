"""Errors in one or two lines: what was expected, what came, what would be accepted, where to set it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

HINT = "HYDRA_FULL_ERROR=1 shows the traceback"
VERBOSE = "GRADVITALS_FULL_ERROR"  # what the user chose by HYDRA_FULL_ERROR; processes that this one starts see it too


class Refused(ValueError):
    """A configuration that is not run; the message is for the user, whole sentences, no traceback."""


def full_errors() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(VERBOSE) == "1"


def closest(name: str, known: Iterable[str]) -> str:
    """The closest of the known names first, or all of them where none is close.

    Example:
        >>> closest("dept", ["depth", "width"])
        'depth'
    """
    known = [str(k) for k in known]
    return ", ".join(get_close_matches(name, known, n=3, cutoff=0.5) or known)


def explain(error: BaseException) -> str:
    """What to print of an error, without a traceback."""
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: expected KEY=VALUE; quote what the shell or Hydra would take apart"
    if isinstance(error, (ConfigCompositionException, OmegaConfBaseException)):
        return _composition(error)
    if isinstance(error, (ValueError, FileNotFoundError, FileExistsError)):
        return str(error)
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first} ({HINT})"


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if not error.options or not group:
        return str(error).partition("\n")[0]
    return f"{group}={option}: no such option; closest of {len(error.options)}: {closest(option, error.options)}"


def _composition(error: Exception) -> str:
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if not isinstance(cause, OmegaConfBaseException):
        return " ".join(str(error).split())
    key = cause.full_key or str(cause.key)
    known = list(cause.parent_node or {}) if hasattr(cause.parent_node, "keys") else []
    if known and "not in struct" in str(cause):
        parent = key.rpartition(".")[0]
        whole = [f"{parent}.{name}" if parent else str(name) for name in known]
        return f"{key}: no such key; expected {closest(key, whole)}"
    return f"{key}: {str(cause).partition(chr(10))[0]}"
