"""A monitor never ends a fit: each of its parts may fail, which is reported once and switches that part off."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch

from gradvitals.distributed.collectives import ALONE, Collectives, is_collective
from gradvitals.vitals.hooks import UncopiedHook

log = logging.getLogger(__name__)


class Isolation:
    """Runs the parts of a monitor, and switches off those that fail.

    Errors of the communication between processes are not held back: the others would wait. Nor are those of a part that
    decides what a step does, where there are several processes, which must decide alike. What is read only is switched
    off in all processes where it failed in one, see :meth:`agree`.

    Args:
        processes: those that share the batch.
        parts: the names of all parts, the same in each process.
        deciding: the parts that decide what a step does.
        device: on which processes add up.
        switched_off: is called with the name of each part that is switched off.

    Attributes:
        off: the parts that are.

    Example:
        >>> isolation = Isolation(parts=["a", "b"])
        >>> isolation.call("a", lambda: 1 / 0), isolation.call("a", lambda: 1), isolation.call("b", lambda: 1)
        (None, None, 1)
        >>> isolation.off
        {'a'}
    """

    def __init__(
        self,
        processes: Collectives = ALONE,
        parts: Sequence[str] = (),
        deciding: Collection[str] = (),
        device: torch.device | None = None,
        switched_off: Callable[[str], object] | None = None,
    ) -> None:
        self.off: set[str] = set()
        self._processes, self.parts, self._deciding = processes, list(parts), deciding
        self._device, self._switched_off = device, switched_off

    def call(self, part: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """Returns what the function does; None where it fails, and where the part is off."""
        if part not in self.off:
            try:
                return function(*arguments)
            except Exception as error:
                self.fails(part, error)
        return None

    def within(self, part: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Returns a decorator for functions, such as hooks, that belong to a part."""
        return lambda function: UncopiedHook(partial(self.call, part, function))

    def fails(self, part: str, error: Exception) -> None:
        """Reports an error of a part and switches it off.

        Raises:
            Exception: the error itself, where other processes would wait for this one or decide otherwise.
        """
        several = self._processes.total > 1
        if several and (part in self._deciding or part not in self.parts or is_collective(error)):
            raise error
        if part not in self.off:
            log.warning(report(part, error))
            self._switch_off(part)

    def agree(self) -> None:
        """Switches off what another process has switched off. A collective call where there are several processes."""
        if self._processes.total > 1:
            off = torch.tensor([float(part in self.off) for part in self.parts], device=self._device)
            for part, processes in zip(self.parts, self._processes.add(off).tolist(), strict=True):
                if processes and part not in self.off:
                    self._switch_off(part)

    def close(self) -> None:
        """Lets go of the fit: hooks of a graph that an exception left behind keep this object."""
        self._processes, self._switched_off = ALONE, None

    def _switch_off(self, part: str) -> None:
        self.off.add(part)
        try:
            if self._switched_off is not None:
                self._switched_off(part)
        except Exception as error:
            log.debug("%s could not be closed: %s", part, error)


def report(part: str, error: Exception) -> str:
    """Returns the sentence that reports an error.

    Example:
        >>> report("noise", ValueError("no loss\\nseen"))
        'the monitor: noise failed (ValueError: no loss). It is off from now on; the fit and all else go on'
    """
    frames = extract_tb(error.__traceback__)
    where = f" in {frames[-1].name}, {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    first = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return f"the monitor: {part} failed{where} ({what}). It is off from now on; the fit and all else go on"
