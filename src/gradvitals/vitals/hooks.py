"""Helpers for hooks on a network: registering and removing them, tensors in outputs, restoring buffers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar
from weakref import WeakMethod

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from torch.utils.hooks import RemovableHandle

from gradvitals.vitals.function_modes import put_back, set_aside

T = TypeVar("T")
Hook = Callable[[nn.Module, tuple[Any, ...], dict[str, Any], Any], None]
Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]  # makes of a hook one whose errors end no forward pass


def unchanged(hook: Callable[..., Any]) -> Callable[..., Any]:
    """Returns the hook itself: its errors are those of the forward pass."""
    return hook


def on_forward(modules: Iterable[nn.Module], *hooks: Hook) -> list[RemovableHandle]:
    """Calls each ``hook(module, args, kwargs, output)`` after each forward call; torch sees one hook per module.

    Not within a compiled program, which would be compiled again wherever what the hooks remember changes.
    """

    def call_all(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        if not torch.compiler.is_compiling():
            aside = set_aside()
            try:
                for hook in hooks:
                    hook(module, args, kwargs, output)
            finally:
                put_back(aside)

    together = UncopiedHook(call_all)
    return [module.register_forward_hook(together, with_kwargs=True) for module in modules]


class UncopiedHook:
    """A hook that does nothing in a copy of its module, as ``copy.deepcopy`` and ``torch.save`` make one.

    Example:
        >>> from copy import copy
        >>> hook = UncopiedHook(lambda number: number + 1)
        >>> hook(1), copy(hook)(1)
        (2, None)
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, *args: Any) -> Any:
        return self.function(*args)

    def __reduce__(self) -> tuple[Any, ...]:
        return UncopiedHook, (_nothing,)


def _nothing(*args: Any) -> None:
    return None


def weak(method: Callable[..., None]) -> Callable[..., None]:
    """Returns a method of an object that it does not keep, for what torch itself keeps; later calls do nothing."""
    known = WeakMethod(method)

    def call(*args: Any) -> None:
        if (found := known()) is not None:
            found(*args)

    return call


def taken(values: dict[nn.Module, T], layers: Iterable[nn.Module] | None) -> dict[nn.Module, T]:
    """Removes and returns the values of some modules; None: of all.

    Example:
        >>> layer, other = nn.Identity(), nn.Identity()
        >>> values = {layer: 1, other: 2}
        >>> taken(values, [layer])[layer], len(values)
        (1, 1)
    """
    wanted = list(values) if layers is None else [layer for layer in layers if layer in values]
    return {layer: values.pop(layer) for layer in wanted}


@contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Restores buffers, such as moving statistics, at the end; buffers that a first forward pass creates stay.

    Buffers created in inference mode cannot be changed outside of it and are ignored.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_inference()}
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            if name in buffers:
                buffer.data.copy_(buffers[name])


def remove(hooks: list[RemovableHandle]) -> None:
    """Removes hooks from their modules and from the list."""
    while hooks:
        hooks.pop().remove()


class Hooked:
    """What has hooks on modules; a subclass registers them."""

    _hooks: list[RemovableHandle]

    def close(self) -> None:
        """Removes the hooks; what was recorded stays."""
        remove(self._hooks)


def repacked(x: PackedSequence, data: Tensor) -> PackedSequence:
    """Returns a packed sequence with other data, of the same sequences."""
    return PackedSequence(data, x.batch_sizes, x.sorted_indices, x.unsorted_indices)


def tensors_in(output: Any) -> Iterator[Tensor]:
    """Yields the tensors in a module's output: the tensor itself, or those in tuples, lists and dicts.

    Example:
        >>> import torch
        >>> [t.item() for t in tensors_in((torch.tensor(1), [torch.tensor(2), None]))]
        [1, 2]
    """
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        yield from tensors_in(list(output.values()))
    elif isinstance(output, (tuple, list)):
        for part in output:
            yield from tensors_in(part)
