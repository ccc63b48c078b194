"""What the watchers of a network share: hooks that come off, and outputs of any shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

Seen = Callable[[nn.Module, tuple, dict[str, Any], Any], None]


def on_forward(modules: Iterable[nn.Module], *seen: Seen) -> list[RemovableHandle]:
    """Call each ``seen(module, args, kwargs, output)`` whenever one of the modules was called; one hook for all."""

    def hook(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        for see in seen:
            see(module, args, kwargs, output)

    return [module.register_forward_hook(hook, with_kwargs=True) for module in modules]


def remove(hooks: list[RemovableHandle]) -> None:
    """Take hooks off and forget them."""
    while hooks:
        hooks.pop().remove()


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The tensors of what a module returns: itself, or those in tuples, lists and dicts.

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
