"""What a run does where the disk is full, read-only or gone: it trains on, or ends with one line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from gradvitals.errors import ConfigError
from gradvitals.loggers.recognize import is_lightnings
from gradvitals.loggers.tensorboard import hold_errors_back

log = logging.getLogger(__name__)

WRITES = ("log_metrics", "log_hyperparams", "save", "finalize")


class WriteErrors:
    """Receives the errors of writing: the first of each kind is logged, or ends the training.

    Args:
        on_error: ``continue`` or ``stop``.

    Example:
        >>> errors = WriteErrors("stop")
        >>> errors.take("last.ckpt", OSError(28, "No space left on device"))
        Traceback (most recent call last):
        ...
        gradvitals.errors.ConfigError: cannot write last.ckpt: No space left on device. Training ends, by \
on_write_error=stop; what was saved before is whole
    """

    def __init__(self, on_error: str) -> None:
        self._on_error = on_error
        self._logged: set[str] = set()
        self._waiting: ConfigError | None = None

    def take(self, what: str, error: OSError) -> None:
        message = f"cannot write {what}: {error.strerror or error}"
        if self._on_error == "stop":
            reason = "Training ends, by on_write_error=stop; what was saved before is whole"
            raise ConfigError(f"{message}. {reason}") from error
        if what not in self._logged:
            self._logged.add(what)
            log.warning(f"{message}. Training continues, by on_write_error=continue; what was saved before is whole")

    def take_elsewhere(self, what: str, error: OSError) -> None:
        """Does the same in another thread, or where nothing may be raised: the error is raised at the next write."""
        try:
            self.take(what, error)
        except ConfigError as refused:
            self._waiting = refused

    def watch(self, logger: Any) -> None:
        """Sends the errors of a Lightning logger here."""
        if is_lightnings(logger, "TensorBoardLogger"):
            end = partial(self.take_elsewhere, "TensorBoard's events, whose curves end here")
            hold_errors_back(logger.experiment._get_file_writer(), end)
        for name in WRITES:
            setattr(logger, name, self._guarded(type(logger).__name__, getattr(logger, name)))

    def watch_log(self) -> None:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                handler.handleError = partial(self._log_failed, handler.baseFilename)  # type: ignore[method-assign]

    def _guarded(self, name: str, do: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(do)
        def guarded(*args: Any, **settings: Any) -> Any:
            if self._waiting is not None:
                raise self._waiting
            try:
                return do(*args, **settings)
            except OSError as error:
                self.take(f"what {name} logs", error)

        return guarded

    def _log_failed(self, file: str, record: logging.LogRecord) -> None:
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.take_elsewhere(file, error)
