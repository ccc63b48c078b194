"""Function modes of torch that are entered and left in different places of a training loop."""

from __future__ import annotations

from itertools import takewhile
from typing import Any, Self

from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode
from torch.overrides import _get_current_function_mode_stack as stack_of_modes


class LooseMode(TorchFunctionMode):
    """A mode that may be left before those that were entered after it; to enter or leave it again does nothing.

    torch takes the latest mode off its stack, whichever is left. A mode of the user that is left first has thereby
    taken this one off: then the latest is the user's, and it goes now.

    Example:
        >>> first, second = LooseMode(), LooseMode()
        >>> before = len(stack_of_modes())
        >>> _ = first.__enter__(), second.__enter__()
        >>> first.__exit__(None, None, None)
        >>> stack_of_modes()[-1] is second
        True
        >>> second.__exit__(None, None, None)
        >>> len(stack_of_modes()) == before
        True
    """

    _is_entered = False

    def __enter__(self) -> Self:
        if not self._is_entered:
            super().__enter__()
        self._is_entered = True
        return self

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error: object) -> None:
        if self._is_entered and not self.leave() and stack_of_modes():
            _pop_mode()
        self._is_entered = False

    def leave(self) -> bool:
        """Takes the mode off the stack of this thread; returns whether it was there.

        While a mode sees an operation, torch has taken it off itself, and puts it back; then this does nothing.
        """
        modes = stack_of_modes()
        if self not in modes:
            return False
        self._is_entered = False
        above = [_pop_mode() for _ in modes[modes.index(self) :]]
        for mode in reversed(above[:-1]):
            _push_mode(mode)
        return True


def set_aside() -> list[LooseMode]:
    """Takes the modes of this kind off the top of the stack, which need not see what gradvitals itself computes."""
    aside = list(takewhile(lambda mode: isinstance(mode, LooseMode), reversed(stack_of_modes())))
    for _ in aside:
        _pop_mode()
    return aside


def put_back(aside: list[LooseMode]) -> None:
    """Undoes :func:`set_aside`."""
    for mode in reversed(aside):
        _push_mode(mode)
