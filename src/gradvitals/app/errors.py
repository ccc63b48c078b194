"""Errors in one or two lines: what was expected, what came, what would be accepted, where to set it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from difflib import get_close_matches

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

HINT = "HYDRA_FULL_ERROR=1 shows the traceback"
VERBOSE = "GRADVITALS_FULL_ERROR"  # what the user chose by HYDRA_FULL_ERROR; processes that this one starts see it too


class Refused(ValueError):
    """A configuration that is not run; the message is for the user, whole sentences, no traceback."""


def full_errors() -> bool:
    """Whether the user asked for tracebacks."""
    return os.environ.get(VERBOSE, os.environ.get("HYDRA_FULL_ERROR")) == "1"


def closest(name: str, known: Iterable[str]) -> str:
    """The known names, the closest ones first.

    Example:
        >>> closest("dept", ["width", "depth"])
        'depth, width'
    """
    known = [str(k) for k in known]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return ", ".join([*close, *(k for k in known if k not in close)])


def explain(error: BaseException) -> str:
    """What to print of an error, without a traceback."""
    if isinstance(error, MissingConfigException):
        return _missing_option(error)
    if isinstance(error, OverrideParseException):
        return f"cannot read {error.override!r}: expected KEY=VALUE; quote what the shell or Hydra would take apart"
    if isinstance(error, (ConfigCompositionException, OmegaConfBaseException)):
        return _composition(error)
    message = " ".join(str(error).split())
    # Lightning's own refusals, known by name because importing it here would take seconds.
    if isinstance(error, (ValueError, OSError)) or type(error).__name__ == "MisconfigurationException":
        return message
    return f"{type(error).__name__}: {message[:300]} ({HINT})"


def _missing_option(error: MissingConfigException) -> str:
    group, _, option = str(error.missing_cfg_file).rpartition("/")
    if not error.options or not group:
        return str(error).partition("\n")[0]
    return f"{group}={option}: no such option; expected {closest(option, error.options)}"


def _composition(error: Exception) -> str:
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    if not isinstance(cause, OmegaConfBaseException):
        return " ".join(str(error).split())
    key, parent_node = cause.full_key or str(cause.key), cause.parent_node
    if "not in struct" not in str(cause) or not isinstance(parent_node, DictConfig):
        return f"{key}: {str(cause).partition(chr(10))[0]}"
    parent, _, last = key.rpartition(".")
    known = [str(name) for name in parent_node]
    if parent and "name" in known:  # an activation, an initializer, a clipping
        takes = ", ".join(name for name in known if name != "name") or "no parameter"
        return f"{key}: {parent}={parent_node['name']} takes {takes}; got {last}"
    return f"{key}: no such key; expected {closest(key, [f'{parent}.{k}' if parent else k for k in known])}"
