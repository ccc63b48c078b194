"""The loggers of a training loop: opened once, each switched off alone where it fails, and closed at the end."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from gradvitals.errors import ConfigError
from gradvitals.loggers.destination import Destination
from gradvitals.loggers.recognize import destination_of
from gradvitals.loggers.tensorboard import EventFile, hold_errors_back

log = logging.getLogger(__name__)


class OpenLogger:
    """A logger that may fail: the first error is a warning, and nothing is written to it from then on.

    Args:
        name: what the warning calls it.
        destination: what writes to it.
    """

    def __init__(self, name: str, destination: Destination) -> None:
        self._name, self._destination, self._is_open = name, destination, True

    def write(self, write: Callable[[Destination], None]) -> None:
        """Writes something, unless the logger is closed or has failed."""
        if self._is_open:
            try:
                write(self._destination)
            except Exception as error:
                self._is_open = False
                log.warning(f"cannot write to {self._name}: {_first_line(error)}. It is off; training continues")

    def close(self) -> None:
        """Closes the logger; nothing is written to it from then on."""
        self.write(lambda destination: destination.close())
        self._is_open = False


def open_loggers(log_dir: str | os.PathLike | None = None, logger: Any = None) -> list[OpenLogger]:
    """Opens what a training loop logs to. In a run of several processes, only the first one may call it.

    Args:
        log_dir: folder for TensorBoard; None: none.
        logger: a logger or a list of loggers: see :func:`destination_of`. None: none.

    Returns:
        What :func:`gradvitals.loggers.publish.publish` takes. A folder or a file that cannot be written is a warning,
        and is not among them.

    Raises:
        TypeError: something is no logger.
        ConfigError: TensorBoard is not installed, W&B has no run, or a CSV file is not one of ours.

    Example:
        >>> from gradvitals.loggers.publish import publish
        >>> loggers = open_loggers(logger=[lambda step, numbers: 1 / 0, print])
        >>> publish(loggers, {"grad_norm/total": 2.0}, 0)
        0 {'grad_norm/total': 2.0}
        >>> close_loggers(loggers)
    """
    given = logger if isinstance(logger, (list, tuple)) else [] if logger is None else [logger]
    opened = [_opened(_name_of(each), partial(destination_of, each)) for each in given]
    if log_dir is not None:
        if not isinstance(log_dir, (str, os.PathLike)):
            raise TypeError(f"log_dir: expected a path, such as 'runs/1'; got {type(log_dir).__name__}")
        opened.append(_opened(f"log_dir={os.fspath(log_dir)}", partial(_event_file, Path(log_dir))))
    return [each for each in opened if each is not None]


def close_loggers(loggers: Iterable[OpenLogger]) -> None:
    """Flushes the loggers and closes those that were opened here; a second call does nothing."""
    for logger in loggers:
        logger.close()


def _opened(name: str, destination: Callable[[], Destination]) -> OpenLogger | None:
    try:
        return OpenLogger(name, destination())
    except OSError as error:
        log.warning(f"cannot write to {name}: {error.strerror or error}. Training continues without it")
        return None


def _event_file(folder: Path) -> Destination:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise ConfigError(
            f'log_dir={folder} needs TensorBoard: {error}. Install it by pip install "gradvitals[tensorboard]"'
        ) from None
    folder.mkdir(parents=True, exist_ok=True)
    tempfile.TemporaryFile(dir=folder).close()  # TensorBoard's own error would come from its thread
    writer = SummaryWriter(str(folder))
    hold_errors_back(writer._get_file_writer(), lambda error: _curves_end(folder, error))
    return EventFile(writer, is_ours=True)


def _curves_end(folder: Path, error: OSError) -> None:
    reason = error.strerror or error
    log.warning(f"cannot write to log_dir={folder}: {reason}. Its curves end here; training continues")


def _name_of(logger: Any) -> str:
    if isinstance(logger, (str, os.PathLike)):
        return os.fspath(logger)
    return getattr(logger, "__name__", None) or type(logger).__name__


def _first_line(error: Exception) -> str:
    reason = error.strerror if isinstance(error, OSError) else None
    first = next(iter(str(reason or error).splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
