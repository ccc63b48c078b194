"""Function modes of torch that are entered and left in different places of a training loop."""

from __future__ import annotations

from typing import Any

from torch.overrides import TorchFunctionMode, _pop_mode, _push_mode
from torch.overrides import _get_current_function_mode_stack as stack_of_modes


class LooseMode(TorchFunctionMode):
    """A mode that may be left before those that were entered after it.

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

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return func(*args, **(kwargs or {}))

    def __exit__(self, *error: object) -> None:
        if not self.leave() and stack_of_modes():
            _pop_mode()

    def leave(self) -> bool:
        """Takes the mode off the stack of this thread; returns whether it was there."""
        modes = stack_of_modes()
        if self not in modes:
            return False
        above = [_pop_mode() for _ in modes[modes.index(self) :]]
        for mode in reversed(above[:-1]):
            _push_mode(mode)
        return True
