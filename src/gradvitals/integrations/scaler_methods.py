"""Methods of a loss scaler that a watch sees, as long as it is open."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.amp import GradScaler


class ScalerMethod:
    """Replaces one method of a loss scaler; a copy of the scaler has the original.

    Several watches may do so at a time, and end in any order.

    Args:
        call: is given what was called before, and the arguments.
    """

    def __init__(self, scaler: GradScaler, name: str, call: Callable[..., Any]) -> None:
        self._scaler, self._name, self._call = scaler, name, call
        self._inner = getattr(scaler, name)
        self._is_open = True
        setattr(scaler, name, self)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(self._inner, *args, **kwargs) if self._is_open else self._inner(*args, **kwargs)

    def remove(self) -> None:
        """Restores the method: now, or when the watch ends that replaced it later."""
        self._is_open, self._call = False, partial
        known = vars(self._scaler)
        while isinstance(latest := known.get(self._name), ScalerMethod) and not latest._is_open:
            if isinstance(latest._inner, ScalerMethod):
                known[self._name] = latest._inner
            else:
                del known[self._name]

    def __reduce__(self) -> tuple[Any, ...]:
        return _own_method, (self._scaler, self._name)


def _own_method(scaler: GradScaler, name: str) -> Callable[..., Any]:
    result: Callable[..., Any] = getattr(type(scaler), name).__get__(scaler)
    return result
