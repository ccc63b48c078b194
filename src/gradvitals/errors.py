"""Errors for the user, and how their messages show values."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

# What the errors of gloo and NCCL contain when another process has died.
OUT_OF_REACH = (
    "Connection closed by peer",
    "Connection reset by peer",
    "Broken pipe",
    "ncclRemoteError",
    "ncclSystemError",
)

FLOAT32_MAX = 3.4e38

EXTRAS = {  # of pyproject.toml -> the packages that it installs, as they are imported
    "lightning": "lightning",
    "tensorboard": "tensorboard google_crc32c",
    "report": "matplotlib plotly yaml",
    "app": "hydra omegaconf torchvision torchmetrics sklearn pandas joblib filelock rich dotenv safetensors",
    "optuna": "optuna",
}

INTERRUPTED, TERMINATED = 130, 143  # exit codes of Ctrl-C and SIGTERM


class ConfigError(ValueError):
    """A configuration that cannot be run. Users see the message without a traceback."""


class LostProcess(RuntimeError):
    """Another process of the run has died."""


class MissingExtra(ImportError):
    """A package of an extra is not installed. The message contains the command that installs it."""


@contextmanager
def naming_extras(what: str) -> Iterator[None]:
    """Names the extra where a package of one is not installed.

    Args:
        what: what needs the package.

    Raises:
        MissingExtra: in place of the error of the import.

    Example:
        >>> with naming_extras("a page"):
        ...     raise ModuleNotFoundError("No module named 'plotly'", name="plotly")
        Traceback (most recent call last):
        gradvitals.errors.MissingExtra: a page needs a package: plotly. Install it by pip install "gradvitals[report]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        extra = next((extra for extra, packages in EXTRAS.items() if package in packages.split()), None)
        if extra is None:
            raise
        install = f'pip install "gradvitals[{extra}]"'
        raise MissingExtra(f"{what} needs a package: {package}. Install it by {install}", name=package) from None


def out_of_reach(error: BaseException) -> bool:
    """Returns whether an error of gloo or NCCL means that another process of the run has died.

    Example:
        >>> out_of_reach(RuntimeError("[pair.cc:553] Connection closed by peer [127.0.0.1]:5422"))
        True
    """
    return isinstance(error, RuntimeError) and any(word in str(error) for word in OUT_OF_REACH)


def closest(name: str, known: Iterable[str]) -> str:
    """Returns the three closest known names; all of them where none is close.

    Example:
        >>> closest("dept", ["width", "depth"])
        'depth'
    """
    known = [str(k) for k in known]
    return ", ".join(get_close_matches(name, known, n=3, cutoff=0.5) or known)


def shown(value: Any) -> str:
    """Returns a value as error messages show it: short, and marked where it is too large for float32.

    Example:
        >>> shown("x" * 3000)
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
        >>> shown(1e300)
        '1e+300, more than float32 can represent'
    """
    text = repr(value)
    if len(text) > 60:
        return f"{text[:60]}..."
    beyond = isinstance(value, (int, float)) and math.inf > abs(value) > FLOAT32_MAX
    return f"{text}, more than float32 can represent" if beyond else text
