"""A hook that stays on a model for the whole training, and is left behind where the model is copied or saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gradvitals.vitals.hooks import UncopiedHook

Result = tuple[tuple[Any, ...], dict[str, Any]] | None


class ForwardHook(UncopiedHook):
    """Calls back before each forward call of a module, except within a compiled program.

    Args:
        begins: is given module, arguments and keyword arguments; returns others in their place, or None.
        end: ends the watch that the hook belongs to, and returns whether it was still going on.
    """

    def __init__(self, begins: Callable[..., Result], end: Callable[[], bool]) -> None:
        super().__init__(begins)
        self.end = end

    def __call__(self, *args: Any) -> Result:
        return None if torch.compiler.is_compiling() else self.function(*args)


def call_added(module: nn.Module, known: set[int], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Result:
    """Calls the hooks that a hook of the same module has added: torch would do so only from the next call on.

    Args:
        known: ids of the hooks that were there before, see :func:`hooks_of`.
    """
    for number, hook in hooks_of(module).items():
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
