"""A hook that stays on a model for the whole training, and is left behind where the model is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

Result = tuple[tuple, dict[str, Any]] | None
Begins = Callable[[nn.Module, tuple, dict[str, Any]], Result]


class ForwardHook:
    """Calls back before each forward call of a module, except within a compiled program.

    Args:
        begins: is given module, arguments and keyword arguments; returns others in their place, or None.
        end: ends the watch that the hook belongs to, and returns whether it was still going on.
    """

    def __init__(self, begins: Begins, end: Callable[[], bool]) -> None:
        self._begins, self.end = begins, end

    def __call__(self, module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> Result:
        return None if torch.compiler.is_compiling() else self._begins(module, args, kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        """Makes of a copy, as of ``copy.deepcopy(model)`` or ``torch.save(model)``, a hook that does nothing."""
        return ForwardHook, (_ignore, _nothing)


def call_added(module: nn.Module, known: set[int], args: tuple, kwargs: dict[str, Any]) -> Result:
    """Calls the hooks that a hook of the same module has added: torch would do so only from the next call on.

    Args:
        known: ids of the hooks that were there before, see :func:`hooks_of`.
    """
    for number, hook in list(module._forward_pre_hooks.items()):
        if number in known:
            continue
        if number in module._forward_pre_hooks_with_kwargs:
            changed: Any = hook(module, args, kwargs)
            args, kwargs = changed if changed is not None else (args, kwargs)
        else:
            hook(module, args)
    return args, kwargs


def hooks_of(module: nn.Module) -> dict[int, Any]:
    """Returns the hooks before forward by their ids."""
    return dict(module._forward_pre_hooks)


def _ignore(module: nn.Module, args: tuple, kwargs: dict[str, Any]) -> Result:
    return None


def _nothing() -> bool:
    return False
