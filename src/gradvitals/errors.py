"""Errors for the user, and how the values in them are shown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

# What gloo and NCCL say where the other end is gone.
OUT_OF_REACH = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "ncclRemoteError",
    "ncclSystemError",
)

FLOAT32_MAX = 3.4e38

INTERRUPTED, TERMINATED = 130, 143  # exit codes of Ctrl-C and SIGTERM


class ConfigError(ValueError):
    """A configuration that is not run; the message is for the user, whole sentences, no traceback."""


class LostProcess(RuntimeError):
    """Another process of the run died."""


def out_of_reach(error: BaseException) -> bool:
    """Whether an error is that another process of the run is gone, as gloo and NCCL tell it.

    Example:
        >>> out_of_reach(RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:5422"))
        True
    """
    return isinstance(error, RuntimeError) and any(word in str(error) for word in OUT_OF_REACH)


def closest(name: str, known: Iterable[str]) -> str:
    """The known names, the closest ones first.

    Example:
        >>> closest("dept", ["width", "depth"])
        'depth, width'
    """
    known = [str(k) for k in known]
    close = get_close_matches(name, known, n=3, cutoff=0.5)
    return ", ".join([*close, *(k for k in known if k not in close)])


def shown(value: Any) -> str:
    """A value as an error tells it: short, and why a number is none that counts.

    Example:
        >>> shown("x" * 3000)
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
        >>> shown(1e300)
        '1e+300, more than float32 holds'
    """
    words = repr(value)
    if len(words) > 60:
        return f"{words[:60]}..."
    beyond = isinstance(value, (int, float)) and math.inf > abs(value) > FLOAT32_MAX
    return f"{words}, more than float32 holds" if beyond else words
