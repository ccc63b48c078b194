"""What those who watch a network share: hooks that come off, outputs of any shape, buffers that are put back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

T = TypeVar("T")
Seen = Callable[[nn.Module, tuple, dict[str, Any], Any], None]


def on_forward(modules: Iterable[nn.Module], *seen: Seen) -> list[RemovableHandle]:
    """Call each ``seen(module, args, kwargs, output)`` whenever one of the modules was called; one hook for all."""

    def hook(module: nn.Module, args: tuple, kwargs: dict[str, Any], output: Any) -> None:
        for see in seen:
            see(module, args, kwargs, output)

    return [module.register_forward_hook(hook, with_kwargs=True) for module in modules]


def taken(seen: dict[nn.Module, T], layers: Iterable[nn.Module] | None) -> dict[nn.Module, T]:
    """What was seen of some modules, which is forgotten; None: of all.

    Example:
        >>> layer, other = nn.Identity(), nn.Identity()
        >>> seen = {layer: 1, other: 2}
        >>> taken(seen, [layer])[layer], len(seen)
        (1, 1)
    """
    wanted = list(seen) if layers is None else [layer for layer in layers if layer in seen]
    return {layer: seen.pop(layer) for layer in wanted}


@contextmanager
def buffers_kept(network: nn.Module) -> Iterator[None]:
    """Put buffers, such as moving statistics, back to what they were; what a first forward makes stays.

    Those made in inference mode cannot be changed outside of it.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers() if not buffer.is_inference()}
    try:
        yield
    finally:
        for name, buffer in network.named_buffers():
            if name in buffers:
                buffer.data.copy_(buffers[name])


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
